package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
)

// app is what a command may know about the world outside its flags. Tests give it a world of their own.
type app struct {
	in       io.Reader
	out      io.Writer // results
	err      io.Writer // everything else
	terminal bool      // a person sits at in and err: commands may draw bars and ask questions
	getenv   func(string) string
	now      func() time.Time
	random   io.Reader
	version  string
}

func newApp() *app {
	return &app{
		in:       os.Stdin,
		out:      os.Stdout,
		err:      os.Stderr,
		terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		getenv:   os.Getenv,
		now:      time.Now, //nolint:forbidigo // this is the clock that everything else gets injected
		random:   rand.Reader,
		version:  version,
	}
}

// screen says where and how commands show progress.
func (a *app) screen(format ui.Format) ui.Screen {
	return ui.Screen{Out: a.err, Format: format, Terminal: a.terminal, Now: a.now}
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, a *app, args []string) int {
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if err != nil {
		fmt.Fprintf(a.err, "stsbackup: %s\n", message(ctx, err))
	}
	return code
}

// message is the text of err for a person. It is complete even after an interruption: what the command was doing, and
// what it could not clean up.
func message(ctx context.Context, err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n") // one line for each of several errors
	for i := range lines {
		lines[i] = ui.Plain(lines[i])
	}
	text := strings.Join(lines, "\n")
	if interrupted(ctx, err) {
		return "interrupted: " + text
	}
	return text
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "stsbackup",
		Short: "Back up StatefulSets to S3-compatible storage and bring them back",
		Long: `stsbackup backs up whole StatefulSets: it saves the claims of all ordinals as one recovery point in S3-compatible storage, and
restores them under the claim names that the pods ask for.

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    incomplete: some ordinals, or some files of a volume, could not be saved
  4    no such recovery point or StatefulSet
  5    refused by a check before anything was changed
  130  interrupted`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageErrorf("unknown command %q; \"stsbackup --help\" lists the commands", args[0])
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageErrorf("%w; see \"%s --help\"", err, cmd.CommandPath())
	})
	root.AddCommand(
		newBackupCommand(a),
		newDiscardCommand(a),
		newForgetCommand(a),
		newKeyCommand(a),
		newListCommand(a),
		newPruneCommand(a),
		newRepairCommand(a),
		newShowCommand(a),
		newRestoreCommand(a),
		newUndoCommand(a),
		newSchedulerCommand(a),
		newUnlockCommand(a),
		newVerifyCommand(a),
		newVolumeCommand(a),
		newVersionCommand(a),
	)
	return root
}

// exactArgs is cobra.ExactArgs with a usage error that names what is expected.
func exactArgs(n int, names string) cobra.PositionalArgs {
	return rangeArgs(n, n, names)
}

// rangeArgs accepts from least to most arguments; names says what they are, for the message.
func rangeArgs(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageErrorf("expected %s, got %d arguments; see \"%s --help\"", names, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// interrupted reports whether err came after a signal had ended the command's context. The signal is then the cause of
// the failure: programs that stopped us want to know that it was they who did.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil
}
