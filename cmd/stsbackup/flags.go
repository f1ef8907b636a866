package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
)

// kubeFlags say which cluster and which namespace. They have the names that kubectl uses.
type kubeFlags struct {
	kubeconfig string
	context    string
	namespace  string
}

func (f *kubeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.kubeconfig,
		"kubeconfig",
		"",
		"`file` that says how to reach the cluster (default: $KUBECONFIG, ~/.kube/config, or the pod's own account)",
	)
	cmd.Flags().StringVar(&f.context, "context", "", "`name` of the kubeconfig's context to use")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "`namespace` of a StatefulSet that you name without one")
}

// target reads [NS/]STS[@RP]; the namespace comes from the argument, from --namespace, or from the kubeconfig.
func (f *kubeFlags) target(arg string) (target, error) {
	t, err := parseTarget(arg, f.namespace)
	if err != nil || t.namespace != "" {
		return t, err
	}
	t.namespace, err = cluster.DefaultNamespace(f.kubeconfig, f.context)
	return t, err
}

// checkTimeout rejects a timeout in which nothing can be done. Zero is one of these: the engines would take it for
// their own default.
func checkTimeout(flag string, limit time.Duration) error {
	if limit <= 0 {
		return usageErrorf("--%s is %s; give a duration longer than 0, such as 5m", flag, limit)
	}
	return nil
}

// lockFlag is --retry-lock: how long to wait for a conflicting lock on the repository.
type lockFlag struct{ limit time.Duration }

func (f *lockFlag) add(cmd *cobra.Command) {
	f.limit = backup.DefaultRetryLock
	cmd.Flags().Var(f, contract.FlagRetryLock, "how long to wait for a conflicting lock on the repository; 0 = don't wait")
}

// String, Set and Type make a lockFlag a pflag.Value.
func (f *lockFlag) String() string { return f.limit.String() }

// Set reads how long to wait.
func (f *lockFlag) Set(s string) error {
	limit, err := time.ParseDuration(s)
	if err != nil || limit < 0 {
		return fmt.Errorf("%q is not a duration; give 0, or for example 5m", s)
	}
	f.limit = limit
	return nil
}

// Type says what the flag takes.
func (f *lockFlag) Type() string { return "duration" }
