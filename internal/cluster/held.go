package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Held refuses, with a *Refusal, if a restore of the StatefulSet has begun and not ended, and the StatefulSet's
// pods do not run. Its claims then hold neither the earlier data nor the restored data, and nobody chose its number
// of replicas. Only the StatefulSet's Lease can tell whether the restore still runs or was killed. If somebody has
// started the pods since, what they write is data like any other: then Held only returns a note about it.
func (c *Client) Held(ctx context.Context, namespace, statefulSet string) (note string, err error) {
	key := Key{namespace, statefulSet}
	journal, err := c.Journal(ctx, key)
	if err != nil {
		return "", err
	}
	if journal == nil {
		return "", c.heldWithoutJournal(ctx, namespace, statefulSet)
	}
	reason := fmt.Sprintf(
		"a restore of recovery point %s has begun and has not ended (phase %q)",
		journal.Data[JournalPointKey],
		journal.Data[JournalPhaseKey],
	)
	ways := fmt.Sprintf("\"stsbackup restore %[1]s --resume\" continues it, and \"stsbackup undo %[1]s\" puts it back", key)
	sts, err := c.StatefulSet(ctx, namespace, statefulSet)
	if err != nil {
		return "", err
	}
	if Replicas(sts) > 0 && !Gated(&sts.Spec.Template.Spec) {
		return fmt.Sprintf(
			"%s; its pods run all the same, and this is a backup of what they have now; %s, and \"stsbackup restore %s --keep-present\" keeps "+
				"what runs now",
			reason,
			ways,
			key,
		), nil
	}
	return "", &Refusal{
		Object: key.Object(),
		Reason: reason,
		Next:   "let it end; if it was interrupted, " + ways,
		Err:    ErrBusy,
	}
}

// heldWithoutJournal refuses if a restore still holds the StatefulSet although somebody has deleted the restore's
// journal: the data in the claims may be incomplete. Other checks refuse a StatefulSet that does not exist.
func (c *Client) heldWithoutJournal(ctx context.Context, namespace, statefulSet string) error {
	sts, err := c.Kube.AppsV1().StatefulSets(namespace).Get(ctx, statefulSet, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && !Gated(&sts.Spec.Template.Spec) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read StatefulSet %s/%s: %w", namespace, statefulSet, err)
	}
	key := Key{namespace, statefulSet}
	return &Refusal{
		Object: key.Object(),
		Reason: fmt.Sprintf(
			"a restore holds its pods back (scheduling gate %s), and the restore's journal, ConfigMap %s, is gone: what its claims hold may not "+
				"be whole",
			RestoringGate,
			JournalName(statefulSet),
		),
		Next: fmt.Sprintf(
			"\"stsbackup restore %[1]s\" brings a recovery point back, and \"stsbackup undo %[1]s\" what was set aside (\"stsbackup undo --list "+
				"%[1]s\"); %[2]s",
			key,
			LetGoHint(namespace, statefulSet),
		),
		Err: ErrBusy,
	}
}

// LetGoHint says how to start the pods of a StatefulSet on what its claims hold, without stsbackup.
func LetGoHint(namespace, statefulSet string) string {
	return fmt.Sprintf(
		"to have pods start on what the claims hold now: kubectl -n %s patch statefulset %s -p "+
			"'{\"spec\":{\"template\":{\"spec\":{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":\"%s\"}]}}}}', then scale it up",
		namespace,
		statefulSet,
		RestoringGate,
	)
}
