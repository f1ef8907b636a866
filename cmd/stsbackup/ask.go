package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
)

// goAhead holds the flags of a command that shows what it is going to do and asks before it does it.
type goAhead struct {
	dryRun bool
	yes    bool
}

// addGoAhead adds --dry-run and --yes with these texts.
func (f *goAhead) addGoAhead(cmd *cobra.Command, dryRun, yes string) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, dryRun)
	cmd.Flags().BoolVar(&f.yes, "yes", false, yes)
}

// unanswered reports whether the command is going to ask although nobody can answer.
func (f *goAhead) unanswered(a *app, output ui.Format) bool {
	return !f.yes && !f.dryRun && (!a.terminal || output == ui.JSON)
}

// askYes asks a person, who has been shown what is going to happen, whether to go ahead.
func askYes(ctx context.Context, a *app) error {
	fmt.Fprintf(a.err, "\nType yes to go ahead: ")
	answer, err := readLine(ctx, a)
	if err != nil {
		return err
	}
	if answer != "yes" {
		return errors.New("nothing was changed, because the answer was not yes")
	}
	return nil
}

// readLine reads a line from a person, who may prefer to press Ctrl-C.
func readLine(ctx context.Context, a *app) (string, error) {
	type reply struct {
		text string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		// This goroutine ends only with the process: nothing can interrupt a read from a terminal.
		text, err := bufio.NewReader(a.in).ReadString('\n')
		replies <- reply{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("nothing was changed, because there was no answer: %w", context.Cause(ctx))
	case r := <-replies:
		if r.err != nil && r.text == "" {
			return "", fmt.Errorf("nothing was changed, because there was no answer: read it: %w", r.err)
		}
		return strings.TrimSpace(r.text), nil
	}
}
