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
	output ui.Format
	check  string
	serve  schedulerServe
}

func newSchedulerCommand(a *app) *cobra.Command {
	c := &schedulerCommand{}
	cmd := &cobra.Command{
		Use:   "scheduler {--policies|--check} FILE",
		Short: "Back up the StatefulSets of a cluster as a policy file says; or check the file",
		Long: `scheduler --policies runs until you stop it. It backs up StatefulSets when the policies say so, removes recovery points that
the policies no longer keep, and prunes and verifies repositories. Of several schedulers one acts, and another takes over if
that one is gone. It reads the policy file again when the file changes, and keeps the old policies if the new file is wrong.

It logs one line of JSON for each event on standard error, and reports failures as Events on the StatefulSet. --listen serves
/metrics for Prometheus, and /healthz and /readyz. After SIGTERM, running operations may end within --shutdown-grace; a second
signal ends the process at once.

scheduler --check reads a policy file, lists everything that is wrong with it, and shows for each StatefulSet of the cluster
its policy and its next three runs. It changes nothing.

The annotation stsbackup.io/policy of a StatefulSet names its policy; with the value none, it has no policy. Without the
annotation it has the first policy in the file that selects it; --check names the others that do.

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
	cmd.Flags().Lookup("namespace").Usage = "work only on the StatefulSets of this `namespace` (default: all namespaces)"
	addOutput(cmd, &c.output)
	cmd.Flags().Lookup("output").Usage = "how to print what --check shows: text or json"
	cmd.Flags().StringVar(&c.check, "check", "", "policy `file` to check")
	c.serve.add(cmd)
	return cmd
}

func (c *schedulerCommand) run(ctx context.Context, a *app) error {
	switch {
	case c.check != "" && c.serve.policies != "":
		return usageErrorf("--check and --policies exclude each other; give one of them")
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
	if err := ui.WritePolicies(a.out, a.err, c.output, result); err != nil {
		return err
	}
	if problems := result.Problems(); problems > 0 {
		return fmt.Errorf(
			"%d of %d StatefulSets would not be backed up, because their annotation %s names no policy of %s; correct it, or add a "+
				"policy of that name",
			problems,
			len(result.StatefulSets),
			policy.Annotation,
			c.check,
		)
	}
	return nil
}
