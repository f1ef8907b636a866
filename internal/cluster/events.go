package cluster

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// lastWarning is the newest warning about an object, if there is any. Events are a help, not a must: without the
// right to read them there are none.
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

// eventTime is when an event was last seen; which field tells depends on who wrote it.
func eventTime(event corev1.Event) time.Time {
	last := event.LastTimestamp.Time
	if event.Series != nil {
		last = event.Series.LastObservedTime.Time
	}
	return slices.MaxFunc([]time.Time{last, event.EventTime.Time, event.CreationTimestamp.Time},
		func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })
}
