package backup

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Names of the manifests in a recovery point. ClaimManifest and VolumeManifest make the names of the manifests
// of claims and volumes.
const (
	StatefulSetManifest = "statefulset.yaml"
	ServiceManifest     = "service.yaml"
)

// ClaimManifest is the name of a claim's manifest.
func ClaimManifest(claim string) string { return "claim-" + claim + ".yaml" }

// VolumeManifest is the name of the manifest of a claim's volume.
func VolumeManifest(claim string) string { return "volume-" + claim + ".yaml" }

// Manifests returns the objects that a StatefulSet consists of as YAML that can be applied to another cluster:
// without status, and without what the API server adds to every object.
func Manifests(inventory *Inventory, plan *Plan) (map[string][]byte, error) {
	manifests := map[string][]byte{}
	add := func(name, version, kind string, object runtime.Object) error {
		data, err := manifest(object, schema.FromAPIVersionAndKind(version, kind))
		if err != nil {
			return fmt.Errorf("write manifest %s: %w", name, err)
		}
		manifests[name] = data
		return nil
	}
	if err := add(StatefulSetManifest, "apps/v1", "StatefulSet", inventory.StatefulSet); err != nil {
		return nil, err
	}
	if inventory.Service != nil {
		if err := add(ServiceManifest, "v1", "Service", inventory.Service); err != nil {
			return nil, err
		}
	}
	for _, volume := range plan.Volumes {
		if volume.source.Claim == nil {
			continue
		}
		if err := add(ClaimManifest(volume.Claim), "v1", "PersistentVolumeClaim", volume.source.Claim); err != nil {
			return nil, err
		}
		if err := add(VolumeManifest(volume.Claim), "v1", "PersistentVolume", volume.source.Volume); err != nil {
			return nil, err
		}
	}
	return manifests, nil
}

func manifest(object runtime.Object, kind schema.GroupVersionKind) ([]byte, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	content["apiVersion"], content["kind"] = kind.GroupVersion().String(), kind.Kind
	delete(content, "status")
	if metadata, ok := content["metadata"].(map[string]any); ok {
		for _, field := range []string{
			"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
			"managedFields", "selfLink", "ownerReferences", "finalizers",
		} {
			delete(metadata, field)
		}
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, corev1.LastAppliedConfigAnnotation)
			if len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
		if name, ok := metadata["namespace"].(string); ok && name == metav1.NamespaceNone {
			delete(metadata, "namespace")
		}
	}
	if spec, ok := content["spec"].(map[string]any); ok && kind.Kind == "Service" {
		// An address of the old cluster means nothing in another one; "None" makes a Service headless and stays.
		if spec["clusterIP"] != corev1.ClusterIPNone {
			delete(spec, "clusterIP")
			delete(spec, "clusterIPs")
		}
	}
	if spec, ok := content["spec"].(map[string]any); ok && kind.Kind == "PersistentVolume" {
		if claim, ok := spec["claimRef"].(map[string]any); ok {
			delete(claim, "uid")
			delete(claim, "resourceVersion")
		}
	}
	return yaml.Marshal(content)
}
