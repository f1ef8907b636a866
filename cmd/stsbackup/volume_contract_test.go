package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
)

// readByMover returns what a mover's command reads from a command line.
func readByMover(args []string) (any, error) {
	a := &app{getenv: func(string) string { return "" }}
	backup, restore, probe := &volumeBackup{}, &volumeRestore{}, &volumeProbe{}
	commands := []struct {
		command *cobra.Command
		given   func(args []string) any
	}{
		{backup.command(a), func(args []string) any { return backup.given(args[0]) }},
		{restore.command(a), func(args []string) any { return restore.given(args[0], args[1]) }},
		{probe.command(a), func(args []string) any { return probe.given(args[0]) }},
	}
	found, _, err := newRootCommand(a).Find(args)
	if err != nil {
		return nil, err
	}
	for _, c := range commands {
		if found.CommandPath() != "stsbackup volume "+c.command.Name() {
			continue
		}
		if err := c.command.ParseFlags(args[2:]); err != nil {
			return nil, err
		}
		if err := c.command.ValidateArgs(c.command.Flags().Args()); err != nil {
			return nil, err
		}
		return c.given(c.command.Flags().Args()), nil
	}
	return nil, fmt.Errorf("%q is no command of movers", found.CommandPath())
}

// spelled is a type of arguments.
type spelled interface{ Args() []string }

// checkRoundTrip lets the mover's command read what the engine spells.
func checkRoundTrip(t *testing.T, args spelled) {
	t.Helper()
	got, err := readByMover(args.Args())
	if diff := cmp.Diff(any(args), got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%q: %v; the mover reads (-spelled +read)\n%s", args.Args(), err, diff)
	}
}

// oddTexts are values that could break a command line or a list.
func oddTexts() []string {
	return []string{
		"plain", "two words", " space ", "-dash", "--write", "a=b", "a,b", `"quoted"`, `"`, "'", "$(X)", "a\nb", "ümlaut", "0", "false", "\\",
		",",
		"s3://bucket/prefix?endpoint=https%3A%2F%2Fs3.example.com&region=r",
	}
}

// eachField calls a function for each field, also those of embedded structs, with setters for its values.
func eachField(v reflect.Value, do func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			eachField(v.Field(i), do)
		} else {
			do(v.Type().Field(i).Name, v.Field(i))
		}
	}
}

// valuesOf returns values to try for a field.
func valuesOf(t *testing.T, name string, field reflect.Value) (values []any) {
	t.Helper()
	switch field.Interface().(type) {
	case time.Duration:
		return []any{time.Duration(0), time.Second, 90 * time.Minute, time.Duration(1)}
	case int:
		return []any{0, 1, 1 << 30, contract.NoOrdinal}
	case bool:
		return []any{true}
	case []string:
		for _, text := range oddTexts() {
			values = append(values, []string{text}, []string{text, "and more", text})
		}
		return values
	case string:
		for _, text := range oddTexts() {
			switch name {
			case "Dir", "Source":
				text = "at/" + text // paths and names never begin with a dash
			case "Compression":
				continue
			}
			values = append(values, text)
		}
		if name == "Compression" {
			values = []any{"off", "fast", "default", "max"}
		}
		return values
	}
	t.Fatalf("field %s has type %s, of which this test knows no values", name, field.Type())
	return nil
}

// TestMoverReadsWhatTheEngineSpells keeps both ends of a mover's command line equal, for every argument.
func TestMoverReadsWhatTheEngineSpells(t *testing.T) {
	t.Parallel()
	lock := 5 * time.Minute
	for _, base := range []spelled{
		contract.BackupArgs{Dir: contract.Volume, Ordinal: contract.NoOrdinal, Compression: "default", RetryLock: lock},
		contract.BackupArgs{
			Common: contract.InPod("s3://bucket/root", "mover:uid:id"), Dir: contract.Volume, As: "demo/web", Claim: "www-web-0", Ordinal: 7,
			RecoveryPoint: "20261121T081200Z-3fa91c07", ForceRead: true, Compression: "max",
		},
		contract.RestoreArgs{Source: "demo/web", Dir: contract.Volume},
		contract.RestoreArgs{
			Common: contract.InPod("s3://bucket/root", "mover:uid:id"), Source: "demo/web@id", Dir: contract.Volume, Claim: "www-web-0",
			RepositorySnapshot: strings.Repeat("ab", 32), IntoEmpty: true, TakeBack: true, IntoClaim: "demo/www-web-0",
			Resumes: []string{"mover:uid:a", "mover:uid:b"},
		},
		contract.ProbeArgs{Source: "demo/web"},
		contract.ProbeArgs{
			Common: contract.InPod("s3://bucket/root", ""), Source: "demo/web@id", RepositorySnapshots: []string{"a", "b"}, Write: true,
		},
	} {
		checkRoundTrip(t, base)
		tried := reflect.New(reflect.TypeOf(base)).Elem()
		tried.Set(reflect.ValueOf(base))
		eachField(tried, func(name string, field reflect.Value) {
			before := reflect.ValueOf(field.Interface())
			for _, value := range valuesOf(t, name, field) {
				field.Set(reflect.ValueOf(value))
				checkRoundTrip(t, tried.Interface().(spelled))
			}
			field.Set(before)
		})
	}
}
