package credential

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// File is the name of the secret's file in a node's data directory.
const File = "executors.key"

// secretBytes is the length of a secret: that of the keys it gives.
const secretBytes = 32

// fileBytesMax is more than a secret's file can have; a file that is another
// thing, and large, is not read.
const fileBytesMax = 4096

// Secret gives each name of an executor its key. It is zero where there is none.
type Secret struct{ bytes [secretBytes]byte }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// String hides the secret from logs.
func (s Secret) String() string { return "(secret)" }

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// Key is the key of an executor. The same secret and name give the same key.
func (s Secret) Key(name string) (nkeys.KeyPair, error) {
	seed, err := hkdf.Key(sha256.New, s.bytes[:], nil, "belfry executor "+name, secretBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key of executor %s: %w", name, err)
	}
	encoded, err := nkeys.EncodeSeed(nkeys.PrefixByteUser, seed)
	if err != nil {
		return nil, fmt.Errorf("derive the key of executor %s: %w", name, err)
	}
	return nkeys.FromSeed(encoded)
}

// Read takes the secret from a file that only its owner can read. The error is
// fs.ErrNotExist where there is none, and says what to do.
func Read(path string) (Secret, error) {
	s, err := read(path)
	if errors.Is(err, errNoSecret) {
		err = fmt.Errorf("%w: copy %s from the node's data directory", err, File)
	}
	return s, err
}

func read(path string) (Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Secret{}, unreadable(path, err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > fileBytesMax:
		return Secret{}, noSecret(path)
	case info.Mode().Perm()&0o077 != 0:
		return Secret{}, fmt.Errorf("credentials %s can be read by other users of this machine: chmod 600 %s", path, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, unreadable(path, err)
	}
	var s Secret
	decoded, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(decoded) != secretBytes {
		return Secret{}, noSecret(path)
	}
	copy(s.bytes[:], decoded)
	if s.IsZero() {
		return Secret{}, noSecret(path)
	}
	return s, nil
}

// Make takes the secret from a file, or draws one and writes the file. It is
// there as a whole or not at all.
func Make(path string) (Secret, error) {
	s, err := read(path)
	switch {
	case errors.Is(err, errNoSecret):
		return Secret{}, fmt.Errorf("%w: restore it from a copy, or remove it: then a new one is drawn, which executors of their own need", err)
	case !errors.Is(err, fs.ErrNotExist):
		return s, err
	}
	_, _ = rand.Read(s.bytes[:]) // it never fails
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return Secret{}, unwritable(path, err)
	}
	_, err = f.WriteString(hex.EncodeToString(s.bytes[:]) + "\n")
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return Secret{}, unwritable(path, err)
	}
	return s, nil
}

// syncDir makes the name of a new file last: executors may have copied it.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func unreadable(path string, err error) error {
	return fmt.Errorf("credentials %s cannot be read (%w): name the node's %s with --credentials", path, cause(err), File)
}

func unwritable(path string, err error) error {
	return fmt.Errorf("credentials %s cannot be written (%w): make its directory writable", path, cause(err))
}

// errNoSecret says that a file is there and is no secret's.
var errNoSecret = errors.New("hold no secret of executors")

func noSecret(path string) error { return fmt.Errorf("credentials %s %w", path, errNoSecret) }

// cause is the reason of a file error without the path, which is told already.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
