package cluster

import (
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestNoClaimFromSnapshot: a VolumeSnapshot is useless if nothing can make a claim from it.
func TestNoClaimFromSnapshot(t *testing.T) {
	class := func(name, provisioner string, isDefault bool) storagev1.StorageClass {
		c := storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner}
		if isDefault {
			c.Annotations = map[string]string{DefaultClassMark: "true"}
		}
		return c
	}
	classes := []storagev1.StorageClass{
		class("disk", "disk.csi.test", true),
		class("nfs", "nfs.csi.test", false),
		class("manual", NoProvisioner, false),
		class("old", "kubernetes.io/aws-ebs", false),
	}
	for _, tt := range []struct {
		name    string
		class   *string
		classes []storagev1.StorageClass
		says    string // empty: it can be filled
	}{
		{"of the driver", new("disk"), classes, ""},
		{"of a driver that was part of Kubernetes", new("old"), classes, ""},
		{"the default", nil, classes, ""},
		{"no default", nil, classes[1:], "the cluster has no default"},
		{"a default of another driver", nil, []storagev1.StorageClass{class("nfs", "nfs.csi.test", true)}, "StorageClass nfs is not of CSI " +
			"driver disk.csi.test but of nfs.csi.test"},
		{"none on purpose", new(""), classes, "it has no StorageClass"},
		{"gone", new("lost"), classes, "its StorageClass lost does not exist any more"},
		{"of another driver", new("nfs"), classes, "StorageClass nfs is not of CSI driver disk.csi.test but of nfs.csi.test"},
		{"made by hand", new("manual"), classes, "but of kubernetes.io/no-provisioner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := NoClaimFromSnapshot(tt.classes, tt.class, "disk.csi.test")
			if (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
				t.Errorf("got %q, want %q", got, tt.says)
			}
		})
	}
}
