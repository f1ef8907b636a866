package capture

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// live reads the claim itself, while its pod runs. It cuts nothing: the volume is saved as it is at the time of reading.
type live struct{}

// Capture is the Way's name in the record.
func (live) Capture() catalog.Capture { return catalog.CaptureLive }

// Check checks whether a mover can mount the claim beside the pod.
func (live) Check(facts *Facts, volumes []Volume, _ Options) []Verdict {
	verdicts := make([]Verdict, len(volumes))
	for i := range volumes {
		v := &volumes[i]
		pod := v.running()
		if pod != nil && cluster.IsReadWriteOncePod(v.Claim) {
			verdicts[i] = Verdict{
				Reason: fmt.Sprintf("its access mode is ReadWriteOncePod and pod %s has it, so no mover can read it while the pod runs", pod.Name),
				Next:   "use --method snapshot",
			}
			continue
		}
		verdicts[i].Choice = &Choice{Capture: catalog.CaptureLive, Why: "asked for with --method live", Placement: placeLive(v, pod, facts)}
	}
	return verdicts
}

// running is the volume's pod, if it runs, or will run on a known node.
func (v *Volume) running() *corev1.Pod {
	pod := v.Pod
	if pod == nil || pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	return pod
}

// Makes returns no objects to create.
func (live) Makes(_ cluster.Operation, volume *Volume, _ *Choice) (Source, []cluster.Candidate) {
	return Source{Claim: volume.Claim.Name}, nil
}

// Cut cuts nothing.
func (live) Cut(_ context.Context, _ *Capturer, volumes []*Captured, tell Tell) error {
	for _, v := range volumes {
		tell(v, report.StageWait)
	}
	return nil
}

// Source is the claim itself.
func (live) Source(_ context.Context, _ *Capturer, v *Captured) (Source, error) {
	return Source{Claim: v.Claim.Name}, nil
}

// Release has nothing to free.
func (live) Release(context.Context, *Capturer, *Captured) {}
