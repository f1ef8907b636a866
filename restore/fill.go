package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Movers is the Filler that runs movers in the cluster.
type Movers struct {
	Cluster *cluster.Client
	Config  cluster.MoverConfig
	// PasswordFile is where the mover finds the repository's password: one of Config.Files.
	PasswordFile string
}

// capabilities are what it takes to give files the owners, modes and times that they had, whoever may write to the
// volume.
func capabilities() []corev1.Capability {
	return []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}
}

// Fill runs one mover.
func (m *Movers) Fill(ctx context.Context, target Target, v Volume, progress func(Progress)) (archive.Result, error) {
	var lock sync.Mutex // the mover's log and its state come from different goroutines
	state := Progress{Stage: StagePrepare}
	tell := func(change func()) {
		lock.Lock()
		defer lock.Unlock()
		change()
		progress(state)
	}
	message, err := m.Cluster.RunMover(ctx, m.Config, cluster.Mover{
		Operation: target.Operation,
		Name:      target.Operation.VolumeName(v.Ordinal, v.Template),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     v.Claim,
		Args: []string{
			"volume", "restore", target.Source,
			"--repo", m.Config.Repo, "--claim", v.SourceClaim, "--repository-snapshot", v.RepositorySnapshot,
			"--repository-password-file", m.PasswordFile, "--result-file", cluster.MoverResult,
			cluster.MoverVolume,
		},
		Capabilities: capabilities(),
		Placement:    placement(target, v),
		Waiting:      func(reason string) { tell(func() { state.Waiting = reason }) },
	}, func(line []byte) {
		var data archive.Progress
		if json.Unmarshal(line, &data) == nil {
			tell(func() { state.Stage, state.Waiting, state.Data = StageFill, "", data })
		}
	})
	var result struct {
		archive.Result
		Error string `json:"error"`
	}
	decodeErr := json.Unmarshal(message, &result)
	switch {
	case err != nil && decodeErr == nil && result.Error != "":
		return archive.Result{}, fmt.Errorf("%s (%w)", result.Error, err)
	case err != nil:
		return archive.Result{}, err
	case decodeErr != nil:
		return archive.Result{}, fmt.Errorf("the mover's result cannot be read: %w; does the image hold this version of stsbackup?", decodeErr)
	}
	return result.Result, nil
}

// placement lets a mover run where the StatefulSet's pod may run, if possible in the zone and on the node where the
// ordinal ran: with WaitForFirstConsumer its place decides the volume's, and with it the pod's.
func placement(target Target, v Volume) cluster.Placement {
	place := cluster.PlacementLike(&target.StatefulSet.Spec.Template.Spec)
	var preferred []corev1.PreferredSchedulingTerm
	for _, wish := range []struct {
		weight     int32
		key, value string
	}{
		{100, corev1.LabelTopologyZone, v.Zone},
		{50, corev1.LabelHostname, v.Node},
	} {
		if wish.value != "" {
			preferred = append(preferred, corev1.PreferredSchedulingTerm{Weight: wish.weight, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: wish.key, Operator: corev1.NodeSelectorOpIn, Values: []string{wish.value}}},
			}})
		}
	}
	if len(preferred) == 0 {
		return place
	}
	place.Affinity = place.Affinity.DeepCopy()
	if place.Affinity == nil {
		place.Affinity = &corev1.Affinity{}
	}
	if place.Affinity.NodeAffinity == nil {
		place.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	node := place.Affinity.NodeAffinity
	node.PreferredDuringSchedulingIgnoredDuringExecution = append(preferred, node.PreferredDuringSchedulingIgnoredDuringExecution...)
	return place
}
