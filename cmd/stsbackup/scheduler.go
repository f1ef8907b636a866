package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/location"
)

// nextRuns is how many runs of each StatefulSet scheduler --check shows.
const nextRuns = 3

// schedulerCommand holds the flags of stsbackup scheduler.
type schedulerCommand struct {
	kube   kubeFlags
	output outputFlag
	check  string
	serve  schedulerServe
}

func newSchedulerCommand(a *app) *cobra.Command {
	c := &schedulerCommand{}
	c.serve.operations = newOperations
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
	sets, err := policyTargets(ctx, client, c.kube.namespace, file.NeedsNamespaceLabels())
	if err != nil {
		return err
	}
	result := checkPolicies(file, sets, a.now())
	if c.output == outputJSON {
		err = ui.WriteJSON(a.out, result)
	} else {
		err = printPolicies(a, result)
	}
	if err != nil {
		return err
	}
	problems := 0
	for _, set := range result.StatefulSets {
		if set.Problem != "" {
			problems++
		}
	}
	if problems > 0 {
		return fmt.Errorf(
			"%d of %d StatefulSets would not be backed up, because their annotation %s names no policy of %s; correct it, or add a "+
				"policy of that name",
			problems,
			len(sets),
			policy.Annotation,
			c.check,
		)
	}
	return nil
}

// policyTargets reads what policies look at: StatefulSets, and the labels of their namespaces if any policy asks for them.
func policyTargets(ctx context.Context, client *cluster.Client, namespace string, namespaceLabels bool) ([]scheduler.StatefulSet, error) {
	found, err := client.StatefulSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var labels map[string]map[string]string
	if namespaceLabels {
		if labels, err = client.NamespaceLabels(ctx); err != nil {
			return nil, err
		}
	}
	sets := make([]scheduler.StatefulSet, 0, len(found))
	for _, set := range found {
		sets = append(sets, scheduler.StatefulSet{Nothing: backup.Nothing(set), StatefulSet: policy.StatefulSet{
			Namespace: set.Namespace, Name: set.Name, Labels: set.Labels, Annotations: set.Annotations, NamespaceLabels: labels[set.Namespace],
		}})
	}
	return sets, nil
}

// policyCheck is what scheduler --check prints.
type policyCheck struct {
	Policies     []policyUse         `json:"policies"`
	StatefulSets []policyStatefulSet `json:"statefulSets"`
}

// policyUse is a policy and for how many StatefulSets it is.
type policyUse struct {
	Name         string `json:"name"`
	Schedule     string `json:"schedule"`
	Suspended    bool   `json:"suspended"`
	StatefulSets int    `json:"statefulSets"`
}

// policyStatefulSet is a StatefulSet and what its policy means for it.
type policyStatefulSet struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Policy is empty if it has none.
	Policy string `json:"policy"`
	// Annotated says that its annotation decided.
	Annotated bool `json:"annotated"`
	Suspended bool `json:"suspended"`
	// AlsoSelectedBy are later policies of the file that select it too.
	AlsoSelectedBy []string    `json:"alsoSelectedBy,omitempty"`
	NextRuns       []time.Time `json:"nextRuns"`
	// Nothing says why it has nothing to back up.
	Nothing string `json:"nothing,omitempty"`
	// Problem says why it has no policy although it should.
	Problem string `json:"problem,omitempty"`
}

// checkPolicies finds each StatefulSet's policy and next runs.
func checkPolicies(file *policy.File, sets []scheduler.StatefulSet, now time.Time) policyCheck {
	result := policyCheck{StatefulSets: []policyStatefulSet{}}
	used := map[string]int{}
	for _, set := range sets {
		assignment := file.Assign(set.StatefulSet)
		shown := policyStatefulSet{
			Namespace: set.Namespace, StatefulSet: set.Name, Annotated: assignment.Annotated,
			AlsoSelectedBy: assignment.Also, NextRuns: []time.Time{}, Problem: assignment.Problem, Nothing: set.Nothing,
		}
		if p := assignment.Policy; p != nil {
			shown.Policy, shown.Suspended = p.Name, p.Suspend
			used[p.Name]++
			at := now
			for set.Nothing == "" && len(shown.NextRuns) < nextRuns {
				if at = p.Next(set.Namespace, set.Name, at); at.IsZero() {
					break
				}
				shown.NextRuns = append(shown.NextRuns, at)
			}
		}
		result.StatefulSets = append(result.StatefulSets, shown)
	}
	for _, p := range file.Policies {
		result.Policies = append(
			result.Policies,
			policyUse{Name: p.Name, Schedule: p.Schedule.String(), Suspended: p.Suspend, StatefulSets: used[p.Name]},
		)
	}
	return result
}

func printPolicies(a *app, result policyCheck) error {
	rows := [][]string{{"STATEFULSET", "POLICY", "NEXT RUNS", "NOTES"}}
	for _, set := range result.StatefulSets {
		var runs []string
		for _, at := range set.NextRuns {
			runs = append(runs, at.Format(time.RFC3339))
		}
		rows = append(
			rows,
			[]string{set.Namespace + "/" + set.StatefulSet, ui.OrDash(set.Policy), ui.OrDash(strings.Join(runs, " ")), ui.OrDash(set.notes())},
		)
	}
	if len(rows) > 1 {
		if err := ui.WriteTable(a.out, rows); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.err, "There are no StatefulSets.")
	}
	for _, use := range result.Policies {
		if use.StatefulSets == 0 {
			fmt.Fprintf(a.err, "Policy %s applies to none of these StatefulSets.\n", use.Name)
		}
	}
	return nil
}

// notes says why a StatefulSet has this policy, where that is not plain.
func (s policyStatefulSet) notes() string {
	var notes []string
	switch {
	case s.Problem != "":
		return "PROBLEM: " + ui.Plain(s.Problem)
	case s.Policy == "" && s.Annotated:
		return "by its annotation"
	case s.Policy == "":
		return "no policy selects it"
	case s.Annotated:
		notes = append(notes, "by its annotation")
	case len(s.AlsoSelectedBy) > 0:
		notes = append(notes, "also selected by "+strings.Join(s.AlsoSelectedBy, ", ")+": the first in the file decides")
	}
	if s.Nothing != "" {
		notes = append(notes, "nothing to back up: "+s.Nothing)
	}
	if s.Suspended {
		notes = append(notes, "suspended")
	}
	return strings.Join(notes, "; ")
}
