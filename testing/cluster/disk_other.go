//go:build !linux

package cluster

import (
	"errors"
	"testing"
)

// Disk is a disk of its own, which can be full: on Linux only.
type Disk struct {
	Dir string
}

// NewDisk says that there is none.
func NewDisk(testing.TB, int64) (*Disk, error) { return nil, errNoDisk }

// Fill leaves nothing free.
func (d *Disk) Fill() error { return errNoDisk }

// Free makes room again.
func (d *Disk) Free() error { return errNoDisk }

var errNoDisk = errors.New("a disk in a file is mounted on Linux only")
