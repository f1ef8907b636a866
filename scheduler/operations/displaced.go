package operations

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
	"github.com/stsbackup/stsbackup/scheduler"
)

// Displaced implements scheduler.Operations.
func (o *Operations) Displaced(ctx context.Context) (map[scheduler.Name]scheduler.Displaced, error) {
	tallies, err := displaced.Count(ctx, o.Cluster, o.Namespace)
	if err != nil {
		return nil, err
	}
	of := map[scheduler.Name]scheduler.Displaced{}
	for _, t := range tallies {
		if t.StatefulSet == "" {
			continue // somebody has changed the marks; undo --list says so
		}
		d := scheduler.Displaced{Volumes: t.Volumes, Bytes: t.Bytes}
		if len(t.Ages) > 0 {
			d.Oldest = t.Ages[0]
		}
		of[scheduler.Name{Namespace: t.Namespace, StatefulSet: t.StatefulSet}] = d
	}
	return of, nil
}

// Discard implements scheduler.Operations: it does what the command discard does with --older-than, but only while the
// StatefulSet is Ready. If it is not Ready, somebody may want back what was set aside.
func (o *Operations) Discard(ctx context.Context, of scheduler.Name, before time.Time) (scheduler.Discarded, error) {
	sts, err := o.Cluster.StatefulSet(ctx, of.Namespace, of.StatefulSet)
	if err != nil {
		return scheduler.Discarded{}, translate(err)
	}
	if why := notReady(sts); why != "" {
		return scheduler.Discarded{}, fmt.Errorf("%w: StatefulSet %s: %s", scheduler.ErrNotReady, of, why)
	}
	situation, err := displaced.Look(ctx, o.Cluster, of.Namespace, of.StatefulSet)
	if err != nil {
		return scheduler.Discarded{}, translate(err)
	}
	op, err := o.operation(of, "discard")
	if err != nil {
		return scheduler.Discarded{}, err
	}
	discarder := &displaced.Discarder{Cluster: o.Cluster, Holder: o.Holder, Note: func(text string) { o.logOf(of).Info(text) }}
	report, err := discarder.Run(ctx, op, displaced.NewPlan(situation, displaced.Request{Before: before}))
	result := scheduler.Discarded{Bytes: report.Bytes}
	for _, v := range report.Freed {
		result.Volumes = append(result.Volumes, v.Name)
	}
	return result, translate(err)
}

// notReady says why a StatefulSet does not prove that its data is right; empty if all of its pods are Ready.
func notReady(sts *appsv1.StatefulSet) string {
	replicas := cluster.Replicas(sts)
	switch {
	case sts.DeletionTimestamp != nil:
		return "it is being deleted"
	case replicas == 0:
		return "it is scaled to 0 replicas"
	case sts.Status.ObservedGeneration < sts.Generation:
		return "its controller has not yet seen its last change"
	case sts.Status.ReadyReplicas < replicas:
		return fmt.Sprintf("%d of %d pods are Ready", sts.Status.ReadyReplicas, replicas)
	default:
		return ""
	}
}
