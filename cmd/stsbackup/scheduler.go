package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/service"
	"github.com/stsbackup/stsbackup/storage/location"
)

// schedulerCommand holds the flags of stsbackup scheduler.
type schedulerCommand struct {
	kube   kubeFlags
	output outputFlag
	check  string
	serve  schedulerServe
}

func newSchedulerCommand(a *app) *cobra.Command {
	c := &schedulerCommand{}
	cmd := &cobra.Command{
		Use:   "scheduler {--policies|--check} FILE",
		Short: "Back up the StatefulSets of a cluster as a policy file says; or check the file",
		Long: `scheduler --policies runs until it is told to stop. It backs up StatefulSets when the policies say so, removes recovery
points that they no longer keep, and prunes and verifies repositories. Of several schedulers that run at once one acts, and
another takes over if it is gone. The policy file is read again when it changes; a version that is wrong is not taken over.
What happens is a line of JSON on standard error each, and a failure an Event on the StatefulSet. --listen serves /metrics
for Prometheus, and /healthz and /readyz. After SIGTERM what is running may end within --shutdown-grace; a second signal
ends the process at once.

scheduler --check reads a policy file, tells all that is wrong with it, and shows for each StatefulSet of the cluster which
policy it has and when its next three runs are. It changes nothing.

A StatefulSet has the policy that its annotation stsbackup.io/policy names, with the value none no policy, and without the
annotation the first policy in the file that selects it; others that select it too are named.

The exit code is 2 if the file is wrong, and 1 if an annotation names a policy that does not exist.`,
		Example: `  stsbackup scheduler --policies /etc/stsbackup/policies.yaml
  stsbackup scheduler --check policies.yaml
  stsbackup scheduler --check policies.yaml -n demo -o json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), a)
		},
	}
	c.kube.add(cmd)
	cmd.Flags().Lookup("namespace").Usage = "look at the StatefulSets of this `namespace` only (default: of all)"
	addOutput(cmd, &c.output)
	cmd.Flags().Lookup("output").Usage = "how to print what --check shows: text or json"
	cmd.Flags().StringVar(&c.check, "check", "", "policy `file` to check")
	c.serve.add(cmd)
	return cmd
}

func (c *schedulerCommand) run(ctx context.Context, a *app) error {
	switch {
	case c.check != "" && c.serve.policies != "":
		return usageErrorf("--check and --policies do different things; give one of them")
	case c.serve.policies != "":
		memory.Save(a.getenv)
		return c.serve.run(ctx, a, c.kube)
	case c.check == "":
		return usageErrorf("name the policy file: stsbackup scheduler --policies FILE, or --check FILE")
	}
	file, err := policy.Load(c.check, location.Check)
	if err != nil {
		return usageErrorf("%w", err)
	}
	client, _, err := cluster.Connect(c.kube.kubeconfig, c.kube.context)
	if err != nil {
		return err
	}
	return c.show(ctx, a, client, file)
}

// show prints what the policies mean for the StatefulSets of a cluster.
func (c *schedulerCommand) show(ctx context.Context, a *app, client *cluster.Client, file *policy.File) error {
	result, err := service.Check(ctx, service.CheckRequest{
		File: file, Cluster: client, Namespace: c.kube.namespace, Nothing: backup.Nothing, Now: a.now(),
	})
	if err != nil {
		return err
	}
	if err := ui.WriteChecked(a.out, a.err, c.output, result); err != nil {
		return err
	}
	if problems := result.Problems(); problems > 0 {
		return fmt.Errorf(
			"%d of %d StatefulSets would not be backed up, because their annotation %s names no policy of %s; correct it, or name a policy so",
			problems,
			len(result.StatefulSets),
			policy.Annotation,
			c.check,
		)
	}
	return nil
}
