package main

import (
	"slices"

	"github.com/stsbackup/stsbackup/restore"
)

// ordinalsFlag is --ordinals: numbers of ordinals with commas between them.
type ordinalsFlag []int32

// String, Set and Type make an ordinalsFlag a pflag.Value.
func (f *ordinalsFlag) String() string {
	return restore.OrdinalsText(*f)
}

// Set reads ordinals, and adds those that are not there yet.
func (f *ordinalsFlag) Set(s string) error {
	ordinals, err := restore.ParseOrdinals(s)
	for _, ordinal := range ordinals {
		if !slices.Contains(*f, ordinal) {
			*f = append(*f, ordinal)
		}
	}
	return err
}

// Type names what the flag takes.
func (f *ordinalsFlag) Type() string { return "ordinals" }
