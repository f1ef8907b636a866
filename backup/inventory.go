package backup

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
)

// Inventory is what a StatefulSet consists of, as it was read from the cluster.
type Inventory struct {
	// Cluster is the cluster's UID.
	Cluster     string
	StatefulSet *appsv1.StatefulSet
	// Service is the one that StatefulSet names as its own; nil if it does not exist.
	Service *corev1.Service
	// Pods and Claims are by name: the pods of the ordinals, and all claims of the namespace.
	Pods   map[string]*corev1.Pod
	Claims map[string]*corev1.PersistentVolumeClaim
	// Volumes are by name: those of the StatefulSet's claims.
	Volumes map[string]*corev1.PersistentVolume
	// Classes are all VolumeSnapshotClasses of the cluster; ClassesHidden says that they may not be read.
	Classes       []snapshotv1.VolumeSnapshotClass
	ClassesHidden bool
	// StorageClasses are those of the cluster; StorageClassesHidden says that they may not be read.
	StorageClasses       []storagev1.StorageClass
	StorageClassesHidden bool
	// Nodes are those that the pods run on, by name, where nodes may be read.
	Nodes map[string]capture.Node
}

// facts are what the ways to capture need of it.
func (i *Inventory) facts() *capture.Facts {
	return &capture.Facts{
		StatefulSet: i.StatefulSet, Classes: i.Classes, ClassesHidden: i.ClassesHidden,
		StorageClasses: i.StorageClasses, StorageClassesHidden: i.StorageClassesHidden, Nodes: i.Nodes,
	}
}

// ReadInventory reads the Inventory of a StatefulSet. The error wraps cluster.ErrNotFound if there is none.
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

func (i *Inventory) readService(ctx context.Context, c *cluster.Client) error {
	name := i.StatefulSet.Spec.ServiceName
	if name == "" {
		return nil
	}
	service, err := c.Kube.CoreV1().Services(i.StatefulSet.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Service %s/%s: %w", i.StatefulSet.Namespace, name, err)
	}
	i.Service = service
	return nil
}

func (i *Inventory) readPods(ctx context.Context, c *cluster.Client) error {
	i.Pods = map[string]*corev1.Pod{}
	for _, ordinal := range cluster.Ordinals(i.StatefulSet) {
		name := cluster.PodName(i.StatefulSet.Name, ordinal)
		pod, err := c.Kube.CoreV1().Pods(i.StatefulSet.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read pod %s/%s: %w", i.StatefulSet.Namespace, name, err)
		}
		i.Pods[name] = pod
	}
	return nil
}

func (i *Inventory) readClaims(ctx context.Context, c *cluster.Client) error {
	list, err := c.Kube.CoreV1().PersistentVolumeClaims(i.StatefulSet.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list claims in %s: %w", i.StatefulSet.Namespace, err)
	}
	i.Claims = map[string]*corev1.PersistentVolumeClaim{}
	for n := range list.Items {
		i.Claims[list.Items[n].Name] = &list.Items[n]
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
			volume, err := c.Kube.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("read volume %s of claim %s/%s: %w", claim.Spec.VolumeName, claim.Namespace, claim.Name, err)
			}
			i.Volumes[volume.Name] = volume
		}
	}
	return nil
}

// readNodes is content without the right to read nodes: a zone is for information, and volumes know theirs.
func (i *Inventory) readNodes(ctx context.Context, c *cluster.Client) error {
	i.Nodes = map[string]capture.Node{}
	for _, pod := range i.Pods {
		node := pod.Spec.NodeName
		if _, known := i.Nodes[node]; known || node == "" {
			continue
		}
		object, err := c.Kube.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		switch {
		case apierrors.IsForbidden(err):
			return nil
		case apierrors.IsNotFound(err):
			i.Nodes[node] = capture.Node{}
		case err != nil:
			return fmt.Errorf("read node %s: %w", node, err)
		default:
			i.Nodes[node] = capture.Node{
				Zone: object.Labels[corev1.LabelTopologyZone], Host: object.Labels[corev1.LabelHostname], Taints: object.Spec.Taints,
			}
		}
	}
	return nil
}
