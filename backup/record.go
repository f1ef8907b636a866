package backup

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// record builds the record of what has been saved; it fails if nothing was saved.
func (r *run) record() (*catalog.Record, error) {
	sts := r.inventory.StatefulSet
	record := &catalog.Record{
		Version:        catalog.RecordVersion,
		ID:             catalog.RecoveryPointID(r.op.ID),
		State:          catalog.StateComplete,
		Cluster:        r.inventory.Cluster,
		Namespace:      sts.Namespace,
		StatefulSet:    sts.Name,
		StatefulSetUID: string(sts.UID),
		Started:        r.started,
		Replicas:       cluster.Replicas(sts),
		OrdinalsStart:  cluster.OrdinalsStart(sts),
		LeftOut:        r.plan.LeftOut,
		Tool:           r.request.Tool,
	}
	var failures []error
	for _, v := range r.volumes {
		record.Volumes = append(record.Volumes, v.saved)
		if v.saved.Error != "" {
			failures = append(failures, fmt.Errorf("claim %s/%s: %s", sts.Namespace, v.Claim, v.saved.Error))
		}
		if v.saved.Error != "" || v.saved.ProblemCount > 0 {
			record.State = catalog.StateIncomplete
		}
	}
	if len(failures) == len(r.volumes) {
		return nil, fmt.Errorf("back up %s: nothing could be saved: %w", r.op.Object(), errors.Join(failures...))
	}
	record.Skew = skew(record.Volumes)
	record.Finished = r.Now().UTC()
	return record, nil
}

// skew is the time between the first and the last cut of the volumes that were saved.
func skew(volumes []catalog.Volume) time.Duration {
	var first, last time.Time
	for _, volume := range volumes {
		if volume.RepositorySnapshot == "" {
			continue
		}
		if first.IsZero() || volume.Cut.Before(first) {
			first = volume.Cut
		}
		if volume.Cut.After(last) {
			last = volume.Cut
		}
	}
	return last.Sub(first)
}

// recordVolume is the record of a volume before anything was saved.
func recordVolume(volume Volume) catalog.Volume {
	saved := catalog.Volume{
		Ordinal: volume.Ordinal, Template: volume.Template, Claim: volume.Claim, Capture: volume.Capture,
		Error: cmp.Or(volume.Missing, volume.Denied), Size: volume.Size, Driver: volume.Driver, Node: volume.Node, Zone: volume.Zone,
		Mode: "Filesystem",
	}
	claim := volume.source.Claim
	if claim == nil {
		return saved
	}
	if claim.Spec.StorageClassName != nil {
		saved.StorageClass = *claim.Spec.StorageClassName
	}
	for _, mode := range claim.Spec.AccessModes {
		saved.AccessModes = append(saved.AccessModes, string(mode))
	}
	saved.Labels = claim.Labels
	saved.Annotations = ownAnnotations(claim.Annotations)
	return saved
}

// ownAnnotations leaves out annotations that Kubernetes writes for itself about this one object.
func ownAnnotations(annotations map[string]string) map[string]string {
	own := maps.Clone(annotations)
	maps.DeleteFunc(own, func(key, _ string) bool {
		return strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.kubernetes.io/") ||
			strings.HasPrefix(key, "volume.beta.kubernetes.io/") || key == "kubectl.kubernetes.io/last-applied-configuration"
	})
	return own
}
