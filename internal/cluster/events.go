package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// tellWithin bounds the writing of an Event.
const tellWithin = 10 * time.Second

// TellHeld writes an Event on a StatefulSet, for "kubectl describe", that says that the operation holds its
// pods back. Events help, but nothing depends on them: without the right to write them there is none.
func (c *Client) TellHeld(ctx context.Context, op Operation, sts *appsv1.StatefulSet) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	now := metav1.NewTime(c.now())
	name := sts.Namespace + "/" + sts.Name
	_, _ = c.Kube.CoreV1().Events(sts.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: sts.Namespace, Name: op.Name("held")},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet", Namespace: sts.Namespace, Name: sts.Name, UID: sts.UID,
		},
		Type:   corev1.EventTypeNormal,
		Reason: "HeldForRestore",
		Source: corev1.EventSource{Component: ManagedBy},
		Message: fmt.Sprintf(
			"%s %s holds the pods back (scheduling gate %s) until it is done; if it was interrupted, \"stsbackup restore %s\" says what to do",
			op.Kind,
			op.ID,
			RestoringGate,
			name,
		),
		FirstTimestamp: now,
		LastTimestamp:  now,
		Count:          1,
	}, metav1.CreateOptions{})
}

// lastWarning is the newest warning about an object, if there is any. Events help, but nothing depends on them:
// without the right to read them there are none.
func (c *Client) lastWarning(ctx context.Context, namespace string, uid types.UID) (reason, message string) {
	if uid == "" {
		return "", ""
	}
	selector := fields.OneTermEqualSelector("involvedObject.uid", string(uid)).String()
	list, err := c.Kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return "", ""
	}
	return newestWarning(list.Items, uid)
}

// newestWarning picks the newest warning about the object with that UID.
func newestWarning(events []corev1.Event, uid types.UID) (reason, message string) {
	var warnings []corev1.Event
	for _, event := range events {
		if event.Type == corev1.EventTypeWarning && event.InvolvedObject.UID == uid {
			warnings = append(warnings, event)
		}
	}
	if len(warnings) == 0 {
		return "", ""
	}
	newest := slices.MaxFunc(warnings, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	return newest.Reason, newest.Message
}

// eventTime is when an event was last seen; which field says so depends on who wrote the event.
func eventTime(event corev1.Event) time.Time {
	last := event.LastTimestamp.Time
	if event.Series != nil {
		last = event.Series.LastObservedTime.Time
	}
	return slices.MaxFunc([]time.Time{last, event.EventTime.Time, event.CreationTimestamp.Time},
		func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })
}
