package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

// addOutput adds -o.
func addOutput(cmd *cobra.Command, output *ui.Format) {
	*output = ui.Text
	cmd.Flags().VarP(output, "output", "o", "how to print: text or json")
}

// compressionFlag is --compression.
type compressionFlag struct{ level compress.Level }

func (f *compressionFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, contract.FlagCompression, "how hard to compress the content of files: off, fast, default or max")
}

// String, Set and Type make a compressionFlag a pflag.Value.
func (f *compressionFlag) String() string { return f.level.String() }

func (f *compressionFlag) Set(s string) (err error) {
	f.level, err = compress.Parse(s)
	return err
}

func (f *compressionFlag) Type() string { return "off|fast|default|max" }

// ordinalsFlag is --ordinals: ordinals separated by commas.
type ordinalsFlag []int32

// String, Set and Type make an ordinalsFlag a pflag.Value.
func (f *ordinalsFlag) String() string {
	return restore.OrdinalsText(*f)
}

// Set reads ordinals, and adds those that are not in the list yet.
func (f *ordinalsFlag) Set(s string) error {
	ordinals, err := restore.ParseOrdinals(s)
	for _, ordinal := range ordinals {
		if !slices.Contains(*f, ordinal) {
			*f = append(*f, ordinal)
		}
	}
	return err
}

// Type says what the flag takes.
func (f *ordinalsFlag) Type() string { return "ordinals" }

// operationFlag is --operation: the id of an operation, or its beginning. Without the flag a command means all operations, or the
// last one. So an empty id is refused: it comes from a variable that somebody forgot to set. So is one that is a flag itself.
type operationFlag string

// String, Set and Type make an operationFlag a pflag.Value.
func (f *operationFlag) String() string { return string(*f) }

func (f *operationFlag) Set(s string) error {
	if s == "" || strings.HasPrefix(s, "-") {
		return fmt.Errorf("%q is no id of an operation; \"stsbackup undo --list\" shows the ids", s)
	}
	*f = operationFlag(s)
	return nil
}

func (f *operationFlag) Type() string { return "id" }

// spanFlag is a calendar span: --keep-within and --older-than.
type spanFlag calendar.Span

// String, Set and Type make a spanFlag a pflag.Value.
func (f *spanFlag) String() string {
	if *f == (spanFlag{}) {
		return ""
	}
	return calendar.Span(*f).String()
}

func (f *spanFlag) Set(s string) error {
	span, err := calendar.ParseSpan(s)
	*f = spanFlag(span)
	return err
}

func (f *spanFlag) Type() string { return "duration" }
