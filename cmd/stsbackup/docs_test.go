package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the command reference in README.md and docs/cli.md anew")

const (
	commandsBegin = "<!-- commands: written by `go test ./cmd/stsbackup -run TestDocs -update` -->\n"
	commandsEnd   = "<!-- /commands -->\n"
)

// TestDocs checks that README.md and docs/cli.md match the commands and flags of the program.
func TestDocs(t *testing.T) {
	root := filepath.Join("..", "..")
	a := &app{getenv: func(string) string { return "" }, version: "dev"}
	commands := runnable(newRootCommand(a))

	readme := filepath.Join(root, "README.md")
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), commandsBegin)
	_, after, ok2 := strings.Cut(rest, commandsEnd)
	if !ok || !ok2 {
		t.Fatalf("README.md has no block between %q and %q", commandsBegin, commandsEnd)
	}
	compare(t, readme, before+commandsBegin+commandTable(commands)+commandsEnd+after)
	compare(t, filepath.Join(root, "docs", "cli.md"), reference(t, a, commands))
}

// compare checks that a file has the wanted content; with -update it writes that content.
func compare(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf(
			"%s is not what the commands say (-commands +file); `go test ./cmd/stsbackup -run TestDocs -update` writes it anew:\n%s",
			path,
			diff,
		)
	}
}

// runnable lists the commands that do something, sorted by name.
func runnable(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, child := range cmd.Commands() {
		if child.Runnable() && !child.Hidden {
			all = append(all, child)
		}
		all = append(all, runnable(child)...)
	}
	return all
}

func commandTable(commands []*cobra.Command) string {
	var b strings.Builder
	b.WriteString("| command | what it does |\n|---|---|\n")
	for _, cmd := range commands {
		fmt.Fprintf(&b, "| `%s` | %s |\n", usage(cmd), cmd.Short)
	}
	return b.String()
}

// usage is a command's line without "[flags]", which every command has.
func usage(cmd *cobra.Command) string {
	return strings.TrimSuffix(cmd.UseLine(), " [flags]")
}

// reference is the help of every command, as the command itself prints it.
func reference(t *testing.T, a *app, commands []*cobra.Command) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Command reference\n\nWhat `stsbackup COMMAND --help` prints, for every command.\n")
	for _, cmd := range commands {
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		var out bytes.Buffer
		a.out, a.err = &out, &out
		if code := execute(context.Background(), a, args); code != exitDone {
			t.Fatalf("%v: exit code %d:\n%s", args, code, &out)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s\n```\n", strings.TrimPrefix(cmd.CommandPath(), "stsbackup "), strings.TrimSpace(out.String()))
	}
	return b.String()
}
