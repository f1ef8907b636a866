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

// rightsAsker knows what a command needs to say which rights its user lacks.
type rightsAsker struct {
	kube *kubeFlags
	// verb is that of the command line, and args are what it names.
	verb string
	args []string
	// everywhere says that it is about all namespaces, dryRun that nothing was changed, so that missing rights may not have shown.
	everywhere, dryRun bool
}

// explain has an error that comes of a missing right name all that are missing, with the command that grants them: otherwise
// they come out one at a time. After a dry run that went well they are a warning.
func (r rightsAsker) explain(ctx context.Context, a *app, err error) error {
	if ctx.Err() != nil || !denied(err) && (err != nil || !r.dryRun) {
		return err
	}
	lines, askErr := r.missing(ctx)
	switch {
	case len(lines) == 0 || askErr != nil: // what was forbidden was another thing; or this cannot be asked, and the error has to do
		return err
	case err == nil:
		fmt.Fprintf(a.err, "warning: %s\n", strings.Join(lines, "\n"))
		return nil
	default:
		return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
	}
}

// denied reports whether an error comes of a right that is missing.
func denied(err error) bool {
	var incomplete *backup.IncompleteError
	return apierrors.IsForbidden(err) || errors.As(err, &incomplete) && incomplete.Denied
}

// missing says which rights are missing, in lines for a person; none if none is.
func (r rightsAsker) missing(ctx context.Context) ([]string, error) {
	client, namespace, err := cluster.Connect(r.kube.kubeconfig, r.kube.context)
	if err != nil {
		return nil, err
	}
	lack, err := rights.Missing(ctx, client, rights.Request{Verb: r.verb, Namespaces: r.namespaces(cmp.Or(r.kube.namespace, namespace))})
	return lack.Lines(), err
}

// namespaces are those that the command is about, none for all; fallback is that of names without one.
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
