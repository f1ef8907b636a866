package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Keys in a restore's journal that can be read without decoding it.
const (
	// JournalKey holds the journal itself.
	JournalKey = "journal.json"
	// JournalPhaseKey says in one word how far the restore came, JournalPointKey which recovery point it restores.
	JournalPhaseKey = "phase"
	JournalPointKey = "recoveryPoint"
)

// JournalName is the name of the ConfigMap in which a restore of the StatefulSet keeps its journal.
func JournalName(statefulSet string) string { return namePrefix + "restore-" + statefulSet }

// Journal reads the ConfigMap in which a restore of the StatefulSet keeps its journal; nil if there is none.
func (c *Client) Journal(ctx context.Context, key Key) (*corev1.ConfigMap, error) {
	name := JournalName(key.Name)
	journal, err := c.Kube.CoreV1().ConfigMaps(key.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of a restore, ConfigMap %s/%s: %w", key.Namespace, name, err)
	}
	return journal, nil
}

// CreateJournal writes a new journal.
func (c *Client) CreateJournal(ctx context.Context, journal *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	stored, err := c.Kube.CoreV1().ConfigMaps(journal.Namespace).Create(ctx, journal, metav1.CreateOptions{})
	return stored, journalError("write", journal.Namespace, journal.Name, err)
}

// UpdateJournal replaces the journal that has this one's uid and version. The error wraps ErrChanged if that journal no longer exists.
func (c *Client) UpdateJournal(ctx context.Context, journal *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	stored, err := c.Kube.CoreV1().ConfigMaps(journal.Namespace).Update(ctx, journal, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		err = ErrChanged
	}
	return stored, journalError("write", journal.Namespace, journal.Name, err)
}

// RemoveJournal removes the journal of that uid and version. No journal is no error; the error wraps ErrChanged if it is another one.
func (c *Client) RemoveJournal(ctx context.Context, key Key, uid types.UID, version string) error {
	name := JournalName(key.Name)
	err := c.Kube.CoreV1().ConfigMaps(key.Namespace).Delete(ctx, name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return journalError("remove", key.Namespace, name, err)
}

func journalError(verb, namespace, name string, err error) error {
	if apierrors.IsConflict(err) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("%s the journal %s/%s: %w", verb, namespace, name, err)
	}
	return nil
}
