package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Keys of a restore's journal that are readable without decoding it.
const (
	// JournalKey holds the journal itself.
	JournalKey = "journal.json"
	// JournalPhaseKey says in one word how far the restore came, JournalPointKey which recovery point it restores.
	JournalPhaseKey = "phase"
	JournalPointKey = "recoveryPoint"
)

// JournalName is the name of the ConfigMap in which a restore of the StatefulSet keeps its journal.
func JournalName(statefulSet string) string { return namePrefix + "restore-" + statefulSet }

// Held refuses, with a *Refusal, if a restore of the StatefulSet has begun and not ended: what is in its claims is then
// neither what was there before nor what is being restored, and its replicas are nobody's wish. Whether the restore is
// still running, or was killed, only the StatefulSet's Lease can tell.
func (c *Client) Held(ctx context.Context, namespace, statefulSet string) error {
	journal, err := c.Kube.CoreV1().ConfigMaps(namespace).Get(ctx, JournalName(statefulSet), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the journal of a restore of %s/%s: %w", namespace, statefulSet, err)
	}
	return &Refusal{
		Object: "StatefulSet " + namespace + "/" + statefulSet,
		Reason: fmt.Sprintf("a restore of recovery point %s has begun and has not ended (phase %q)",
			journal.Data[JournalPointKey], journal.Data[JournalPhaseKey]),
		Next: fmt.Sprintf("let it end; if it was killed, run \"stsbackup restore %s/%s\", which first puts back what that one has changed", namespace, statefulSet),
		Err:  ErrBusy,
	}
}
