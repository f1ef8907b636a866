package backup

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Inventory is what a StatefulSet consists of, as it was read from the cluster.
type Inventory struct {
	// Cluster is the cluster's UID.
	Cluster     string
	StatefulSet *appsv1.StatefulSet
	// Service is the Service that StatefulSet names as its own; nil if it does not exist.
	Service *corev1.Service
	// Pods and Claims are indexed by name: the pods of the ordinals, and all claims of the namespace.
	Pods   map[string]*corev1.Pod
	Claims map[string]*corev1.PersistentVolumeClaim
	// Volumes are the volumes of the StatefulSet's claims, by name.
	Volumes map[string]*corev1.PersistentVolume
	// Classes are all VolumeSnapshotClasses of the cluster; ClassesHidden says that we may not read them.
	Classes       []snapshotv1.VolumeSnapshotClass
	ClassesHidden bool
	// StorageClasses are those of the cluster; StorageClassesHidden says that we may not read them.
	StorageClasses       []storagev1.StorageClass
	StorageClassesHidden bool
	// Nodes are the nodes on which the pods run, by name, if we may read nodes.
	Nodes map[string]capture.Node
}

// facts are what the Ways to capture need from the Inventory.
func (i *Inventory) facts() *capture.Facts {
	return &capture.Facts{
		StatefulSet: i.StatefulSet, Classes: i.Classes, ClassesHidden: i.ClassesHidden,
		StorageClasses: i.StorageClasses, StorageClassesHidden: i.StorageClassesHidden, Nodes: i.Nodes,
	}
}

// ReadInventory reads the Inventory of a StatefulSet. The error wraps cluster.ErrNotFound if the StatefulSet does not exist.
func ReadInventory(ctx context.Context, c *cluster.Client, namespace, name string) (*Inventory, error) {
	sts, err := c.StatefulSet(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	inventory := &Inventory{StatefulSet: sts}
	if inventory.Cluster, err = c.UID(ctx); err != nil {
		return nil, err
	}
	for _, read := range []func(context.Context, *cluster.Client) error{
		inventory.readService, inventory.readPods, inventory.readClaims, inventory.readVolumes, inventory.readNodes,
	} {
		if err := read(ctx, c); err != nil {
			return nil, err
		}
	}
	inventory.Classes, err = c.VolumeSnapshotClasses(ctx)
	inventory.ClassesHidden = apierrors.IsForbidden(err)
	if err != nil && !inventory.ClassesHidden {
		return nil, err
	}
	inventory.StorageClasses, err = c.StorageClasses(ctx)
	inventory.StorageClassesHidden = apierrors.IsForbidden(err)
	if err != nil && !inventory.StorageClassesHidden {
		return nil, err
	}
	return inventory, nil
}

func (i *Inventory) readService(ctx context.Context, c *cluster.Client) (err error) {
	if name := i.StatefulSet.Spec.ServiceName; name != "" {
		i.Service, err = c.Service(ctx, i.StatefulSet.Namespace, name)
	}
	return err
}

func (i *Inventory) readPods(ctx context.Context, c *cluster.Client) error {
	i.Pods = map[string]*corev1.Pod{}
	for _, ordinal := range cluster.Ordinals(i.StatefulSet) {
		name := cluster.PodName(i.StatefulSet.Name, ordinal)
		pod, err := c.Pod(ctx, i.StatefulSet.Namespace, name)
		if err != nil {
			return err
		}
		if pod != nil {
			i.Pods[name] = pod
		}
	}
	return nil
}

func (i *Inventory) readClaims(ctx context.Context, c *cluster.Client) error {
	claims, err := c.Claims(ctx, i.StatefulSet.Namespace)
	if err != nil {
		return err
	}
	i.Claims = map[string]*corev1.PersistentVolumeClaim{}
	for n := range claims {
		i.Claims[claims[n].Name] = &claims[n]
	}
	return nil
}

func (i *Inventory) readVolumes(ctx context.Context, c *cluster.Client) error {
	i.Volumes = map[string]*corev1.PersistentVolume{}
	for _, ordinal := range cluster.Ordinals(i.StatefulSet) {
		for _, template := range i.StatefulSet.Spec.VolumeClaimTemplates {
			claim := i.Claims[cluster.ClaimName(template.Name, i.StatefulSet.Name, ordinal)]
			if claim == nil || claim.Spec.VolumeName == "" {
				continue
			}
			volume, err := c.Volume(ctx, claim.Spec.VolumeName)
			if err != nil {
				return fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err)
			}
			if volume != nil {
				i.Volumes[volume.Name] = volume
			}
		}
	}
	return nil
}

// readNodes accepts a missing right to read nodes: the zone is only for information, and volumes name their own.
func (i *Inventory) readNodes(ctx context.Context, c *cluster.Client) error {
	i.Nodes = map[string]capture.Node{}
	for _, pod := range i.Pods {
		node := pod.Spec.NodeName
		if _, known := i.Nodes[node]; known || node == "" {
			continue
		}
		object, err := c.Node(ctx, node)
		switch {
		case apierrors.IsForbidden(err):
			return nil
		case err != nil:
			return err
		case object == nil:
			i.Nodes[node] = capture.Node{}
		default:
			i.Nodes[node] = capture.Node{
				Zone: object.Labels[corev1.LabelTopologyZone], Host: object.Labels[corev1.LabelHostname], Taints: object.Spec.Taints,
			}
		}
	}
	return nil
}
