package watch

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/stsbackup/stsbackup/scheduler"
)

// component is the source that Events name.
const component = "stsbackup"

// textMost is the longest text that an Event can have.
const textMost = 1024

// Events writes Events; many of the same kind are counted in one Event.
type Events struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
	lease       corev1.ObjectReference
}

// NewEvents begins to write Events to a cluster, until Stop. Events about the scheduler itself are on its Lease.
func NewEvents(ctx context.Context, kube kubernetes.Interface, leaseNamespace, leaseName string) *Events {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: kube.CoreV1().Events("")})
	return newEvents(broadcaster, broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component}), leaseNamespace, leaseName)
}

func newEvents(broadcaster record.EventBroadcaster, recorder record.EventRecorder, leaseNamespace, leaseName string) *Events {
	return &Events{broadcaster: broadcaster, recorder: recorder, lease: corev1.ObjectReference{
		APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: leaseNamespace, Name: leaseName,
	}}
}

// Stop ends the writing of Events.
func (e *Events) Stop() { e.broadcaster.Shutdown() }

// Warn says that something is wrong with the backups of a StatefulSet.
func (e *Events) Warn(about scheduler.StatefulSet, reason, text string) {
	e.recorder.Event(reference(about), corev1.EventTypeWarning, reason, short(text))
}

// Note says something about the backups of a StatefulSet that is good to know.
func (e *Events) Note(about scheduler.StatefulSet, reason, text string) {
	e.recorder.Event(reference(about), corev1.EventTypeNormal, reason, short(text))
}

// PoliciesRejected says that a new version of the policies was not taken over.
func (e *Events) PoliciesRejected(err error) {
	e.recorder.Event(&e.lease, corev1.EventTypeWarning, "PoliciesRejected", short("The policies before stay in force: "+err.Error()))
}

func reference(set scheduler.StatefulSet) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: set.Namespace, Name: set.Name, UID: types.UID(set.UID),
	}
}

// short cuts a text that is too long for the API server.
func short(text string) string {
	if len(text) <= textMost {
		return text
	}
	cut := textMost - len("…")
	for cut > 0 && text[cut]&0xC0 == 0x80 { // in the middle of a character
		cut--
	}
	return text[:cut] + "…"
}
