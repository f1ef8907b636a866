package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
)

// journalLimit bounds a new journal, in bytes. A ConfigMap holds 1 MiB, and a journal grows by some 150 bytes
// for each volume.
const journalLimit = 768 << 10

// journalAttempts bounds how often to try to write a journal that somebody else changes at the same time.
const journalAttempts = 5

// errNoJournal is wrapped by errors that say that the ConfigMap in a journal's place is not a journal.
var errNoJournal = errors.New("it is no journal")

// readJournal reads the StatefulSet's journal; nil if there is none.
func readJournal(ctx context.Context, c *cluster.Client, key cluster.Key) (*Journal, error) {
	name := cluster.JournalName(key.Name)
	stored, err := c.Journal(ctx, key)
	if err != nil || stored == nil {
		return nil, err
	}
	j := &Journal{}
	if err := json.Unmarshal([]byte(stored.Data[cluster.JournalKey]), j); err != nil {
		return nil, fmt.Errorf("read the journal of an interrupted restore, ConfigMap %s/%s: %w: %w", key.Namespace, name, errNoJournal, err)
	}
	if j.Version > journalVersion {
		return nil, fmt.Errorf(
			"the journal of an interrupted restore, ConfigMap %s/%s, comes from a later version (%d) of stsbackup: use that version",
			key.Namespace,
			name,
			j.Version,
		)
	}
	if err := j.check(key); err != nil {
		return nil, fmt.Errorf(
			"the journal of an interrupted restore, ConfigMap %s/%s, is not one that a restore has written: %w: %w; find out who has "+
				"changed it, and delete it if the StatefulSet's claims are as they should be",
			key.Namespace,
			name,
			errNoJournal,
			err,
		)
	}
	j.uid, j.version = stored.UID, stored.ResourceVersion
	j.fromEarlier()
	return j, nil
}

// fromEarlier completes a journal of version 1 so that nothing relies on what it does not say: every volume is
// checked and kept anew, and nothing that such a restore made counts as unused.
func (j *Journal) fromEarlier() {
	if j.Kind == "" {
		j.Kind = KindRestore
	}
	for i := range j.Volumes {
		v := &j.Volumes[i]
		switch {
		case v.State != "":
		case j.Phase == PhaseResume:
			v.State = StateHandedOver
		default:
			v.State = StatePresent
		}
	}
}

// object is the journal's ConfigMap. It does not have the operation's label: whatever sweeps up after dead
// operations must leave it alone.
func (j *Journal) object(namespace, statefulSet string) (*corev1.ConfigMap, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode the journal: %w", err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: cluster.JournalName(statefulSet), Namespace: namespace,
			Labels: map[string]string{
				cluster.LabelManagedBy:   cluster.ManagedBy,
				cluster.LabelStatefulSet: cluster.LabelValue(statefulSet),
			},
			Annotations: map[string]string{cluster.AnnotationStatefulSet: statefulSet},
		},
		Data: map[string]string{
			cluster.JournalKey:      string(data),
			cluster.JournalPhaseKey: string(j.Phase),
			cluster.JournalPointKey: j.RecoveryPoint,
		},
	}, nil
}

// create writes a new journal. If it is too large for a ConfigMap, create refuses before anything has changed.
func (j *Journal) create(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	object, err := j.object(op.Namespace, op.StatefulSet)
	if err != nil {
		return err
	}
	if size := len(object.Data[cluster.JournalKey]); size > journalLimit {
		return &cluster.Refusal{
			Object: op.Object(),
			Reason: fmt.Sprintf(
				"the journal of this restore takes %d bytes, and a ConfigMap cannot hold so much: its claims have very large labels or annotations",
				size,
			),
			Next: "take the large ones off the claims (kubectl get pvc -o yaml shows them), then restore again; nothing was changed",
		}
	}
	stored, err := c.CreateJournal(ctx, object)
	if err != nil {
		return err
	}
	j.uid, j.version = stored.UID, stored.ResourceVersion
	return nil
}

// write replaces the stored journal, if it is this one. It overwrites what others have changed, and writes a
// deleted journal again: without a journal, nothing that was set aside could be put back. The error wraps
// ErrChanged if another operation has continued the journal: requests that we sent before that may arrive late.
func (j *Journal) write(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	for range journalAttempts {
		object, err := j.object(op.Namespace, op.StatefulSet)
		if err != nil {
			return err
		}
		object.UID, object.ResourceVersion = j.uid, j.version
		stored, err := c.UpdateJournal(ctx, object)
		switch {
		case err == nil:
			j.uid, j.version = stored.UID, stored.ResourceVersion
			return nil
		case !errors.Is(err, cluster.ErrChanged):
			return err
		}
		there, err := j.refresh(ctx, c, op)
		if err != nil {
			return err
		}
		if !there {
			return j.create(ctx, c, op)
		}
	}
	return contended("write", op)
}

// refresh reads which version of the journal is stored now, if there is one. The error wraps ErrChanged if
// another operation has continued this journal, or has begun its own.
func (j *Journal) refresh(ctx context.Context, c *cluster.Client, op cluster.Operation) (there bool, err error) {
	name := cluster.JournalName(op.StatefulSet)
	stored, err := c.Journal(ctx, op.Key())
	if err != nil || stored == nil {
		return false, err
	}
	now := Journal{}
	// A ConfigMap that cannot be read is no operation's journal.
	if err := json.Unmarshal([]byte(stored.Data[cluster.JournalKey]), &now); err == nil && now.Operation != "" {
		if has, ours := now.operations(), j.operations(); len(has) > len(ours) || !slices.Equal(has, ours[:len(has)]) {
			return true, fmt.Errorf(
				"the journal %s/%s is another operation's (%s) by now: %w",
				op.Namespace,
				name,
				has[len(has)-1],
				cluster.ErrChanged,
			)
		}
	}
	j.uid, j.version = stored.UID, stored.ResourceVersion
	return true, nil
}

// remove ends the operation.
func (j *Journal) remove(ctx context.Context, c *cluster.Client, op cluster.Operation) error {
	for range journalAttempts {
		there, err := j.refresh(ctx, c, op)
		if err != nil || !there {
			return err
		}
		err = c.RemoveJournal(ctx, op.Key(), j.uid, j.version)
		if !errors.Is(err, cluster.ErrChanged) {
			return err
		}
	}
	return contended("remove", op)
}

// contended is the error of a change to the journal if others were always faster.
func contended(verb string, op cluster.Operation) error {
	name := cluster.JournalName(op.StatefulSet)
	return fmt.Errorf("%[1]s the journal %[2]s/%[3]s: %[4]w: something keeps changing it; "+
		"\"kubectl -n %[2]s get configmap %[3]s -o yaml --show-managed-fields\" shows who: stop that, then run the command again",
		verb, op.Namespace, name, cluster.ErrChanged)
}

// enter writes the journal with a new phase. The journal in memory keeps the phase even if the write fails: the
// write may have succeeded all the same, and the stored journal decides.
func (x *run) enter(ctx context.Context, phase Phase) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.Reporter.Phase(report.Phase(phase))
	x.journal.Phase = phase
	return x.journal.write(ctx, x.Cluster, x.op)
}

// mark changes one volume's entry in the journal, and writes it.
func (x *run) mark(ctx context.Context, v *JournalVolume, change func(*JournalVolume)) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	change(v)
	return x.journal.write(ctx, x.Cluster, x.op)
}
