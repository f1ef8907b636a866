package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
)

// TestFaultOfAll: if the first volume fails for a reason that every volume shares, the operation ends there, and says so once.
func TestFaultOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		away := corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: `{"error":"the bucket is away"}`}
		s.ends["www-web-0"], s.ends[""] = away, away
		record, err := s.run(t.Context(), t)
		if err == nil || record != nil || len(s.repo.committed) != 0 {
			t.Fatalf("record %v, committed %d, error %v", record, len(s.repo.committed), err)
		}
		if text := err.Error(); strings.Count(text, "the bucket is away") != 1 || !strings.Contains(text, "back up StatefulSet demo/web: ") ||
			!strings.Contains(text, "so none was tried") {
			t.Error(text)
		}
		for _, did := range s.did {
			if strings.HasPrefix(did, "www-web-1 "+string(report.StagePrepare)) || strings.HasSuffix(did, string(report.StageFailed)) {
				t.Errorf("%q in %q", did, s.did)
			}
		}
	})
}

// TestFaultOfOne: if the first volume fails for a reason of its own, all others are still saved.
func TestFaultOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.fails["www-web-0"] = &cluster.MoverError{ExitCode: 1, Reason: "Error", Message: "disk on fire"}
		record, err := s.run(t.Context(), t)
		if err != nil || record == nil || record.Volumes[1].RepositorySnapshot == "" ||
			!strings.Contains(record.Volumes[0].Error, "disk on fire") {
			t.Fatalf("record %+v, error %v", record, err)
		}
		if !slices.Contains(s.did, "www-web-0 "+string(report.StageFailed)) {
			t.Errorf("it was not said that the volume failed: %q", s.did)
		}
	})
}

func TestFaults(t *testing.T) {
	image := &cluster.MoverError{Reason: "ImagePullBackOff", ExitCode: -1}
	itsOwn := &cluster.MoverError{Reason: "Unschedulable", ExitCode: -1}
	ended := &cluster.MoverError{Reason: "Error", ExitCode: 1}
	trouble := errors.New("movers cannot work")
	for name, tt := range map[string]struct {
		left   int
		saved  bool
		err    error
		probe  error
		probed bool
		common error
	}{
		"image":                      {left: 2, err: image, common: image},
		"place":                      {left: 2, err: itsOwn},
		"no mover's error":           {left: 2, err: errors.New("no claim")},
		"ended, and so does a probe": {left: 2, err: ended, probe: trouble, probed: true, common: trouble},
		"ended, and a probe is well": {left: 2, err: ended, probed: true},
		"another was saved":          {left: 2, saved: true, err: ended, probe: trouble},
		"the last volume":            {left: 0, err: ended, probe: trouble},
	} {
		f := &faults{left: tt.left, saved: tt.saved}
		probes := 0
		probe := func() error { probes++; return tt.probe }
		for range 2 { // one probe is enough
			if got := f.judge(tt.err, probe); !errors.Is(got, tt.common) || (got == nil) != (tt.common == nil) {
				t.Errorf("%s: %v, want %v", name, got, tt.common)
			}
		}
		if (probes == 1) != tt.probed || probes > 1 {
			t.Errorf("%s: probed %d times", name, probes)
		}
		if whole := f.whole("it"); !errors.Is(whole, tt.common) || (whole == nil) != (tt.common == nil) {
			t.Errorf("%s: the operation ends with %v", name, whole)
		}
	}
}

// probedLate is a Saver whose probe takes a while. left is what the cluster still had of the volume at the end of the probe.
type probedLate struct {
	stageSaver
	left []string
}

func (s *probedLate) Probe(ctx context.Context, target Target, v *Volume) error {
	<-time.After(time.Minute)
	name := target.Operation.VolumeName(v.Ordinal, v.Template)
	if _, err := s.snapshots.SnapshotV1().VolumeSnapshots("demo").Get(ctx, name, metav1.GetOptions{}); err == nil {
		s.left = append(s.left, "VolumeSnapshot "+name)
	}
	if _, err := s.kube.CoreV1().PersistentVolumeClaims("demo").Get(ctx, name, metav1.GetOptions{}); err == nil {
		s.left = append(s.left, "claim "+name)
	}
	return nil
}

// TestFaultHoldsNothing: while a probe tests whether any mover can work, what the failed volume had for its mover is removed.
func TestFaultHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.fails["www-web-0"] = &cluster.MoverError{ExitCode: 1, Reason: "Error", Message: "disk on fire"}
		saver := &probedLate{stageSaver: stageSaver{s}, left: []string{}}
		s.engine.Saver = saver
		if _, err := s.run(t.Context(), t); err != nil || len(saver.left) > 0 {
			t.Errorf("left are %q, %v", saver.left, err)
		}
	})
}
