package cluster

import (
	"context"
	"fmt"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultClassMark is the annotation of the StorageClass for claims that name no class.
const DefaultClassMark = "storageclass.kubernetes.io/is-default-class"

// NoProvisioner is the provisioner of classes whose volumes people make.
const NoProvisioner = "kubernetes.io/no-provisioner"

// StorageClasses lists the cluster's classes.
func (c *Client) StorageClasses(ctx context.Context) ([]storagev1.StorageClass, error) {
	list, err := c.Kube.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list StorageClasses: %w", err)
	}
	return list.Items, nil
}

// DefaultClass is the class that the API server gives to a claim without one: the youngest of the classes marked as default.
func DefaultClass(classes []storagev1.StorageClass) string {
	var best *storagev1.StorageClass
	for i := range classes {
		class := &classes[i]
		if class.Annotations[DefaultClassMark] != "true" {
			continue
		}
		if best == nil || best.CreationTimestamp.Before(&class.CreationTimestamp) ||
			best.CreationTimestamp.Equal(&class.CreationTimestamp) && class.Name < best.Name {
			best = class
		}
	}
	if best == nil {
		return ""
	}
	return best.Name
}

// NoClaimFromSnapshot says why no claim of a class (as a claim's spec names it) could be filled from a
// VolumeSnapshot of a CSI driver: nothing would ever make the claim's volume. It is "" if a claim could be filled.
func NoClaimFromSnapshot(classes []storagev1.StorageClass, name *string, driver string) string {
	asked := ""
	switch {
	case name != nil && *name == "":
		return "it has no StorageClass, so that no claim can be made from a VolumeSnapshot of it"
	case name != nil:
		asked = *name
	default:
		if asked = DefaultClass(classes); asked == "" {
			return "it names no StorageClass and the cluster has no default, so that no claim can be made from a VolumeSnapshot of it"
		}
	}
	for i := range classes {
		if classes[i].Name != asked {
			continue
		}
		// A class of a driver that used to be part of Kubernetes has that driver's old name, and the CSI driver serves it instead.
		provisioner := classes[i].Provisioner
		if provisioner == driver || provisioner != NoProvisioner && strings.HasPrefix(provisioner, "kubernetes.io/") {
			return ""
		}
		return fmt.Sprintf(
			"its StorageClass %s is not of CSI driver %s but of %s, so that no claim can be made from a VolumeSnapshot of it",
			asked,
			driver,
			provisioner,
		)
	}
	return "its StorageClass " + asked + " does not exist any more, so that no claim can be made from a VolumeSnapshot of it"
}
