package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// changeFlags are those of commands that exchange the volumes of a StatefulSet: restore and undo.
type changeFlags struct {
	ignoreManager bool
	readyTimeout  time.Duration
	wait          time.Duration
}

// addChange adds the flags; pods says which pods --ready-timeout waits for.
func (f *changeFlags) addChange(cmd *cobra.Command, pods string) {
	cmd.Flags().BoolVar(
		&f.ignoreManager,
		"ignore-manager",
		false,
		"go ahead even if Argo CD, Flux, KEDA, an autoscaler or an operator may change the StatefulSet meanwhile",
	)
	cmd.Flags().DurationVar(&f.readyTimeout, "ready-timeout", 10*time.Minute, "how long "+pods+" may take to become Ready")
	cmd.Flags().DurationVar(
		&f.wait,
		"wait",
		0,
		"wait this long (1h without a value) for another operation on the StatefulSet to end; a scheduler stops its backup and makes it later",
	)
	cmd.Flags().Lookup("wait").NoOptDefVal = "1h"
}

// checkChange rejects timeouts that make no sense.
func (f *changeFlags) checkChange() error {
	var err error
	if f.wait < 0 {
		err = usageErrorf("--wait is %s; give a time such as 1h, or 0 to be refused at once", f.wait)
	}
	return errors.Join(checkTimeout("ready-timeout", f.readyTimeout), err)
}
