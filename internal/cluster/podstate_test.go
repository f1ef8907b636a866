package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func podWith(status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "mover-x"}, Status: status}
}

func containerState(state corev1.ContainerState) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "injected", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		{Name: moverContainer, State: state},
	}}
}

func terminated(code int32, reason, message string) corev1.PodStatus {
	return containerState(
		corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}},
	)
}

func waitingFor(reason, message string) corev1.PodStatus {
	return containerState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

func TestClassifyPod(t *testing.T) {
	disrupted := terminated(143, "Error", "")
	disrupted.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Message: "node is drained"}}
	deleted := podWith(containerState(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}))
	deleted.DeletionTimestamp = new(metav1.Now())
	finishedAndDeleted := podWith(terminated(0, "Completed", "{}"))
	finishedAndDeleted.DeletionTimestamp = new(metav1.Now())
	for name, tt := range map[string]struct {
		pod  *corev1.Pod
		want podState
	}{
		"just made": {podWith(corev1.PodStatus{Phase: corev1.PodPending}), podState{}},
		"unschedulable": {
			podWith(corev1.PodStatus{Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available"},
			}}),
			podState{reason: "Unschedulable", message: "0/1 nodes are available"},
		},
		"on its way": {podWith(waitingFor("ContainerCreating", "")), podState{}},
		"no image":   {podWith(waitingFor("ImagePullBackOff", "Back-off")), podState{reason: "ImagePullBackOff", message: "Back-off"}},
		"bad image":  {podWith(waitingFor("InvalidImageName", "bad")), podState{reason: "InvalidImageName", message: "bad", fatal: true}},
		"running":    {podWith(containerState(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})), podState{phase: podRunning}},
		"done":       {podWith(terminated(0, "Completed", "result")), podState{phase: podEnded, ok: true, termination: "result"}},
		"failed": {
			podWith(terminated(1, "Error", `{"error":"x"}`)),
			podState{phase: podEnded, exitCode: 1, reason: "Error", message: "exit code 1", termination: `{"error":"x"}`},
		},
		"out of memory": {
			podWith(terminated(137, "OOMKilled", "")),
			podState{phase: podEnded, exitCode: 137, reason: "OOMKilled", message: "it used more memory than its limit allows"},
		},
		"drained": {podWith(disrupted), podState{phase: podEnded, exitCode: 143, reason: reasonDeleted, message: "node is drained"}},
		"evicted": {
			podWith(corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}),
			podState{phase: podEnded, exitCode: -1, reason: "Evicted", message: "low on memory"},
		},
		"deleted while it ran": {deleted, podState{phase: podEnded, exitCode: -1, reason: reasonDeleted, message: "the pod was deleted while " +
			"it ran (a drained node?)"}},
		"deleted when done": {finishedAndDeleted, podState{phase: podEnded, ok: true, termination: "{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, classifyPod(tt.pod), cmp.AllowUnexported(podState{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewestWarning(t *testing.T) {
	at := func(minute int) metav1.Time {
		return metav1.Date(2026, 11, 21, 8, minute, 0, 0, metav1.Now().Location())
	}
	about := corev1.ObjectReference{UID: "pod"}
	events := []corev1.Event{
		{InvolvedObject: about, Type: corev1.EventTypeWarning, Reason: "FailedMount", Message: "new", LastTimestamp: at(3)},
		{
			InvolvedObject: about,
			Type:           corev1.EventTypeWarning,
			Reason:         "FailedScheduling",
			Message:        "old",
			EventTime:      metav1.MicroTime{Time: at(1).Time},
		},
		{InvolvedObject: about, Type: corev1.EventTypeNormal, Reason: "Pulling", LastTimestamp: at(9)},
		{InvolvedObject: corev1.ObjectReference{UID: "other"}, Type: corev1.EventTypeWarning, Reason: "Other", LastTimestamp: at(9)},
	}
	if reason, message := newestWarning(events, "pod"); reason != "FailedMount" || message != "new" {
		t.Errorf("got %q, %q", reason, message)
	}
	if reason, _ := newestWarning(events, "nobody"); reason != "" {
		t.Errorf("got %q for an object without events", reason)
	}
}

func TestOnNode(t *testing.T) {
	zone := corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}
	disk := corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpExists}
	here := corev1.NodeSelectorRequirement{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}
	affinity := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{zone}}, {MatchExpressions: []corev1.NodeSelectorRequirement{disk}},
		},
	}}}
	want := []corev1.NodeSelectorTerm{
		{MatchExpressions: []corev1.NodeSelectorRequirement{zone}, MatchFields: []corev1.NodeSelectorRequirement{here}},
		{MatchExpressions: []corev1.NodeSelectorRequirement{disk}, MatchFields: []corev1.NodeSelectorRequirement{here}},
	}
	got := onNode(affinity, "n1").NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("every alternative must name the node (-want +got):\n%s", diff)
	}
	if affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields != nil {
		t.Error("the given affinity was changed")
	}
	got = onNode(nil, "n1").NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if diff := cmp.Diff([]corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{here}}}, got); diff != "" {
		t.Errorf("without any affinity (-want +got):\n%s", diff)
	}
	if onNode(nil, "") != nil {
		t.Error("no node, but an affinity")
	}
}
