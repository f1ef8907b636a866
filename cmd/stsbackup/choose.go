package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// chooseFlags choose several StatefulSets without naming them: among those of the cluster, or among those that have a
// repository.
type chooseFlags struct {
	selector      selectorFlag
	all           bool
	allNamespaces bool
}

// allWithRepository says what --all chooses for commands that need only a bucket.
const allWithRepository = "every StatefulSet of the namespace that has a repository below --repo, also if the cluster no longer has it"

// add adds the flags; all says which StatefulSets --all chooses.
func (f *chooseFlags) add(cmd *cobra.Command, all string) {
	cmd.Flags().VarP(&f.selector, "selector", "l", "take the StatefulSets of the cluster that have these `labels`, such as tier=db,env!=test")
	cmd.Flags().BoolVar(&f.all, "all", false, "take "+all)
	cmd.Flags().BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "with --selector or --all: in all namespaces")
}

// any reports whether one of the flags was given.
func (f *chooseFlags) any() bool { return f.all || f.allNamespaces || f.selector.given() }

// check rejects a choice that contradicts these names.
func (f *chooseFlags) check(kube *kubeFlags, args []string) error {
	switch {
	case f.all && f.selector.given():
		return usageErrorf("--all and --selector exclude each other; give one of them")
	case f.all && len(args) > 0:
		return usageErrorf("%q and --all exclude each other; give one of them", args[0])
	case f.selector.given() && len(args) > 0:
		return usageErrorf("%q and --selector exclude each other; give one of them", args[0])
	case f.allNamespaces && !f.all && !f.selector.given():
		return usageErrorf("--all-namespaces needs --all or --selector")
	case f.allNamespaces && kube.namespace != "":
		return usageErrorf("--all-namespaces and --namespace exclude each other; give one of them")
	}
	return nil
}

// oneOrChosen is check for commands that require a name or a choice.
func (f *chooseFlags) oneOrChosen(cmd *cobra.Command, kube *kubeFlags, args []string) error {
	if len(args) == 0 && !f.any() {
		return usageErrorf("name StatefulSets, or choose them with --selector or --all; see \"%s --help\"", cmd.CommandPath())
	}
	return f.check(kube, args)
}

// namespace is the one that the flags choose from; "" means all namespaces.
func (f *chooseFlags) namespace(kube *kubeFlags) (string, error) {
	if f.allNamespaces || kube.namespace != "" {
		return kube.namespace, nil
	}
	return cluster.DefaultNamespace(kube.kubeconfig, kube.context)
}

// placeOf says, for a message, where StatefulSets are looked for: in a namespace, or in all if it is "".
func placeOf(namespace string) string {
	if namespace == "" {
		return "the cluster"
	}
	return "namespace " + namespace
}

// named parses the StatefulSets that the arguments name, and drops repetitions.
func (f *kubeFlags) named(args []string) ([]target, error) {
	var targets []target
	var failures []error
	for _, arg := range args {
		t, err := f.target(arg)
		if err == nil && !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
		failures = append(failures, err)
	}
	return targets, errors.Join(failures...)
}

// ofCluster finds the StatefulSets of the cluster that the flags choose. Finding none is an error: whoever chooses
// expects some.
func (f *chooseFlags) ofCluster(ctx context.Context, kube *kubeFlags, client *cluster.Client) ([]*appsv1.StatefulSet, error) {
	namespace, err := f.namespace(kube)
	if err != nil {
		return nil, err
	}
	sets, err := client.StatefulSets(ctx, namespace)
	if err != nil {
		return nil, err
	}
	where := placeOf(namespace)
	if len(sets) == 0 {
		return nil, fmt.Errorf("%[2]w: there are no StatefulSets in %[1]s; name another namespace with -n, or take all with "+
			"-A", where, cluster.ErrNotFound)
	}
	if !f.selector.given() {
		return sets, nil
	}
	chosen := slices.DeleteFunc(sets, func(set *appsv1.StatefulSet) bool { return !f.selector.Matches(labels.Set(set.Labels)) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%[2]w: none of the %[3]d StatefulSets in %[4]s has the labels %[1]s; \"kubectl get statefulsets "+
			"--show-labels\" shows their labels",
			f.selector.String(), cluster.ErrNotFound, len(sets), where)
	}
	return chosen, nil
}

// repositories returns the StatefulSets that are named or chosen. Chosen ones are only those with a repository; named
// ones need not have one. passOver, if set, says why to leave out a StatefulSet that the labels choose.
func (f *chooseFlags) repositories(ctx context.Context, a *app, kube *kubeFlags, u *upkeep.Upkeep, args []string,
	passOver func(*appsv1.StatefulSet) string,
) ([]target, error) {
	if !f.any() {
		return kube.named(args)
	}
	choice := upkeep.Choice{Selector: f.selector.String()}
	var err error
	if choice.Namespace, err = f.namespace(kube); err != nil {
		return nil, err
	}
	if !f.all {
		choice.Selected = func(ctx context.Context) ([]upkeep.Candidate, error) { return f.selected(ctx, kube, passOver) }
	}
	chosen, err := u.Choose(ctx, choice)
	for _, candidate := range chosen.PassedOver {
		fmt.Fprintf(a.err, "%s is skipped: %s.\n", candidate.Name, candidate.PassOver)
	}
	if err != nil {
		return nil, err
	}
	return targetsOf(chosen.StatefulSets), nil
}

// selected returns the StatefulSets of the cluster that have the labels.
func (f *chooseFlags) selected(
	ctx context.Context, kube *kubeFlags, passOver func(*appsv1.StatefulSet) string,
) ([]upkeep.Candidate, error) {
	client, _, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return nil, err
	}
	sets, err := f.ofCluster(ctx, kube, client)
	if err != nil {
		return nil, err
	}
	candidates := make([]upkeep.Candidate, len(sets))
	for i, set := range sets {
		candidates[i].Name = catalog.Name{Namespace: set.Namespace, StatefulSet: set.Name}
		if passOver != nil {
			candidates[i].PassOver = passOver(set)
		}
	}
	return candidates, nil
}

// optedOut says that a StatefulSet's owner wants commands that choose by labels, or take all, to leave it alone.
func optedOut(set *appsv1.StatefulSet) string {
	if set.Annotations[policy.Annotation] == policy.None {
		return fmt.Sprintf("its annotation %s=%s says so", policy.Annotation, policy.None)
	}
	return ""
}

// selectorFlag is --selector.
type selectorFlag struct{ labels.Selector }

func (f *selectorFlag) given() bool { return f.Selector != nil }

// String, Set and Type make a selectorFlag a pflag.Value.
func (f *selectorFlag) String() string {
	if !f.given() {
		return ""
	}
	return f.Selector.String()
}

// Set reads a selector as kubectl does. It refuses an empty one, which would choose everything: more likely somebody's
// variable is not set.
func (f *selectorFlag) Set(s string) error {
	selector, err := labels.Parse(s)
	if err != nil {
		return fmt.Errorf("%.80q is not a label selector: %w", s, err)
	}
	if selector.Empty() {
		return errors.New("it is empty; --all chooses all StatefulSets")
	}
	f.Selector = selector
	return nil
}

// Type says what the flag takes.
func (f *selectorFlag) Type() string { return "labels" }
