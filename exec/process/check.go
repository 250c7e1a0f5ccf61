package process

import (
	"bytes"
	"context"
	_ "embed" // the program that lists packages
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/python"
)

// listMax bounds how long Python may take to list its packages: on a slow disk
// with a thousand of them that is seconds.
const listMax = time.Minute

//go:embed packages.py
var listPackages string

// Offer is what an executor would have on this machine.
type Offer struct {
	Slots     int            `json:"slots"`
	Python    Python         `json:"python"`
	Sandboxes []python.Offer `json:"sandboxes"` // all, each with why it cannot be had
}

// Levels are the sandboxes that can be had.
func (o Offer) Levels() (names []string) {
	for _, s := range o.Sandboxes {
		if s.Why == "" {
			names = append(names, string(s.Level))
		}
	}
	return names
}

// Lacks says why the first cannot be had that cannot; "" if all can.
func (o Offer) Lacks() string {
	for _, s := range o.Sandboxes {
		if s.Why != "" {
			return "not " + string(s.Level) + ": " + s.Why
		}
	}
	return ""
}

// Python is an interpreter, and what functions can import besides its own
// library.
type Python struct {
	Version  string    `json:"version"`
	Path     string    `json:"path"`
	Packages []Package `json:"packages"`
}

// Package is one that is installed.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Check says what an executor with this Config would offer. It starts Python as
// an executor does, and needs no node.
func Check(ctx context.Context, cfg Config) (Offer, error) {
	cfg = cfg.WithDefaults()
	runtime, err := python.New(python.Config{Python: cfg.Python, Logger: cfg.Logger})
	if err != nil {
		return Offer{}, err
	}
	offer := Offer{Slots: cfg.executor().WithDefaults().Slots, Sandboxes: runtime.Offers()}
	offer.Python, err = look(ctx, cfg.Python)
	offer.Python.Version = runtime.Version()
	return offer, errors.Join(err, runtime.Close())
}

// look asks an interpreter, isolated from the user's own packages as workers are.
func look(ctx context.Context, program string) (p Python, err error) {
	ctx, cancel := context.WithTimeout(ctx, listMax)
	defer cancel()
	list := osexec.CommandContext(ctx, program, "-I", "-X", "utf8", "-c", listPackages)
	list.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"}
	list.WaitDelay = time.Second
	out, err := list.Output()
	if err != nil {
		return p, fmt.Errorf("%s does not list its packages (%w): see what %s -m pip list says", program, err, program)
	}
	// What site hooks print comes before it.
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &p); err != nil {
		return p, fmt.Errorf("%s lists its packages in no way that is understood (%w): see what %s -m pip list says", program, err, program)
	}
	slices.SortFunc(p.Packages, func(a, b Package) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return p, nil
}
