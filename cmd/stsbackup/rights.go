package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/rights"
)

// rightsAsker holds what a command needs to list the rights that its user lacks.
type rightsAsker struct {
	kube *kubeFlags
	// verb is the command, and args are its arguments.
	verb string
	args []string
	// everywhere: the command covers all namespaces. dryRun: it changed nothing, so missing rights may not have shown.
	everywhere, dryRun bool
}

// explain adds to an error about a missing right the list of all missing rights, with the command that grants them:
// otherwise people learn of them one at a time. After a successful dry run it prints them as a warning.
func (r rightsAsker) explain(ctx context.Context, a *app, err error) error {
	if ctx.Err() != nil || !denied(err) && (err != nil || !r.dryRun) {
		return err
	}
	lines, askErr := r.missing(ctx)
	switch {
	case len(lines) == 0 || askErr != nil: // something else was forbidden, or we cannot ask: then the error alone has to do
		return err
	case err == nil:
		fmt.Fprintf(a.err, "warning: %s\n", strings.Join(lines, "\n"))
		return nil
	default:
		return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
	}
}

// denied reports whether a missing right is the cause of an error.
func denied(err error) bool {
	var incomplete *backup.IncompleteError
	return apierrors.IsForbidden(err) || errors.As(err, &incomplete) && incomplete.Denied
}

// missing lists the missing rights, in lines for a person; it is empty if none is missing.
func (r rightsAsker) missing(ctx context.Context) ([]string, error) {
	client, namespace, err := cluster.Connect(r.kube.kubeconfig, r.kube.context)
	if err != nil {
		return nil, err
	}
	lack, err := rights.Missing(ctx, client, rights.Request{Verb: r.verb, Namespaces: r.namespaces(cmp.Or(r.kube.namespace, namespace))})
	return lack.Lines(), err
}

// namespaces returns the namespaces that the command is about, none for all; names without a namespace are in fallback.
func (r rightsAsker) namespaces(fallback string) []string {
	if r.everywhere {
		return nil
	}
	var namespaces []string
	for _, arg := range r.args {
		if t, err := parseTarget(arg, ""); err == nil {
			namespaces = append(namespaces, cmp.Or(t.namespace, fallback))
		}
	}
	if len(namespaces) == 0 {
		return []string{fallback}
	}
	return namespaces
}
