package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// listCommand holds the flags of stsbackup list.
type listCommand struct {
	kube   kubeFlags
	repo   repoFlags
	output outputFlag
}

func newListCommand(a *app) *cobra.Command {
	c := &listCommand{}
	cmd := &cobra.Command{
		Use:   "list [[NAMESPACE/]STATEFULSET]",
		Short: "List recovery points",
		Long: `list shows the recovery points of one StatefulSet, or of every StatefulSet that has a repository below --repo (with
--namespace: in that namespace). It needs the bucket and the password, and no cluster.`,
		Example: `  stsbackup list
  stsbackup list demo/web -o json`,
		Args: rangeArgs(0, 1, "at most one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args)
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.output.add(cmd)
	return cmd
}

func (c *listCommand) run(ctx context.Context, a *app, args []string) error {
	store, err := openStore(a, &c.repo)
	if err != nil {
		return err
	}
	saveMemory(a)
	targets, err := c.targets(ctx, store, args)
	if err != nil {
		return err
	}
	records := []catalog.Record{}
	var failures []error
	for _, t := range targets {
		found, err := store.list(ctx, t)
		records = append(records, found...)
		failures = append(failures, err)
	}
	failed := errors.Join(failures...)
	switch {
	case c.output == outputJSON:
		err = printJSON(a.out, records)
	case len(records) > 0:
		err = printRecords(a, records)
	case failed == nil: // else there may be some that cannot be read
		fmt.Fprintf(a.err, "There are no recovery points %sbelow %s.\n", c.where(args), store.place())
	}
	return errors.Join(failed, err)
}

// where is which of the recovery points below the root are listed, for a message.
func (c *listCommand) where(args []string) string {
	switch {
	case len(args) > 0:
		return "of " + args[0] + " "
	case c.kube.namespace != "":
		return "of namespace " + c.kube.namespace + " "
	default:
		return ""
	}
}

// targets are the StatefulSets to list.
func (c *listCommand) targets(ctx context.Context, store *store, args []string) ([]target, error) {
	if len(args) == 1 {
		t, err := c.kube.target(args[0])
		if err != nil {
			return nil, err
		}
		if t.recoveryPoint != "" {
			return nil, usageErrorf("list shows all recovery points; \"stsbackup show %s\" shows one", args[0])
		}
		return []target{t}, nil
	}
	names, err := catalog.Names(ctx, store.root)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, name := range names {
		if c.kube.namespace == "" || c.kube.namespace == name.Namespace {
			targets = append(targets, target{namespace: name.Namespace, statefulSet: name.StatefulSet})
		}
	}
	return targets, nil
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

// list reads the recovery points of one StatefulSet.
func (s *store) list(ctx context.Context, t target) ([]catalog.Record, error) {
	points, err := catalog.Open(ctx, s.root, t.namespace, t.statefulSet, s.password(t))
	if err != nil {
		return nil, err
	}
	return points.List(ctx)
}

func printRecords(a *app, records []catalog.Record) error {
	rows := [][]string{{"STATEFULSET", "RECOVERY POINT", "STATE", "AGE", "ORDINALS", "VOLUMES", "BYTES", "STORED"}}
	now := a.now()
	for _, record := range records {
		var bytes, stored int64
		saved := 0
		for _, volume := range record.Volumes {
			bytes, stored = bytes+volume.Bytes, stored+volume.Stored
			if volume.Error == "" {
				saved++
			}
		}
		rows = append(rows, []string{
			record.Namespace + "/" + record.StatefulSet, record.ID, string(record.State),
			humanDuration(now.Sub(record.Started)),
			ordinals(record),
			fmt.Sprintf("%d/%d", saved, len(record.Volumes)), humanBytes(bytes), humanBytes(stored),
		})
	}
	return table(a.out, rows)
}

// ordinals writes which ordinals a recovery point is of: 0-2.
func ordinals(record catalog.Record) string {
	first, last := record.OrdinalsStart, record.OrdinalsStart+record.Replicas-1
	if first >= last {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, last)
}
