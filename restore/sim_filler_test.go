package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Fill is the Filler of the world: it mounts the claim and writes the repository snapshot's name on its volume.
func (w *world) Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error) {
	progress(report.Progress{Stage: report.StageFill, Data: archive.Progress{Bytes: 1}})
	if target.Cluster != "here" {
		w.t.Errorf("%s is filled in cluster %q", v.Claim, target.Cluster)
	}
	// A separate call, so that faults can hit it.
	if _, err := w.kube.CoreV1().PersistentVolumeClaims(ns).Get(ctx, v.Claim, metav1.GetOptions{}); err != nil {
		return archive.Result{}, err
	}
	claim, err := w.mountEmpty(target, v)
	if err != nil {
		return archive.Result{}, err
	}
	if _, err := w.kube.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{}); err != nil {
		return archive.Result{}, err
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	w.data[claim.Spec.VolumeName] = v.RepositorySnapshot
	return archive.Result{RepositorySnapshot: v.RepositorySnapshot, Files: v.Files, Bytes: v.Bytes}, ctx.Err()
}

// mountEmpty plays the start of a mover: the claim gets its volume, which must be empty, and half of the data.
func (w *world) mountEmpty(target Target, v Volume) (*corev1.PersistentVolumeClaim, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.used[v.Claim] = true
	w.reconcile()
	claim := w.claim(v.Claim)
	if claim == nil || claim.Status.Phase != corev1.ClaimBound {
		return nil, errors.New("the claim is not bound")
	}
	if content := w.data[claim.Spec.VolumeName]; content != "" && !strings.HasPrefix(content, "half of ") {
		return nil, fmt.Errorf("the volume is not empty: it holds %q", content)
	}
	if by := w.marks[claim.Spec.VolumeName]; w.data[claim.Spec.VolumeName] != "" && by != target.Operation.ID &&
		!slices.Contains(target.Resumes, by) {
		return nil, fmt.Errorf(
			"the volume is not empty: its mark is of %s, and this is %s, which goes on with %v",
			by,
			target.Operation.ID,
			target.Resumes,
		)
	}
	w.marks[claim.Spec.VolumeName] = target.Operation.ID
	w.data[claim.Spec.VolumeName] = "half of " + v.RepositorySnapshot
	return claim, nil
}

// Probe finds that all is well.
func (w *world) Probe(ctx context.Context, _ Target, _ []Volume) error { return ctx.Err() }

// TakeBack empties the claim's volume.
func (w *world) TakeBack(ctx context.Context, _ Target, v JournalVolume) error {
	got, err := w.kube.CoreV1().PersistentVolumeClaims(ns).Get(ctx, v.Claim, metav1.GetOptions{})
	w.lock.Lock()
	defer w.lock.Unlock()
	if err == nil {
		delete(w.data, got.Spec.VolumeName)
	}
	return err
}
