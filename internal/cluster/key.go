package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Key names a StatefulSet.
type Key struct{ Namespace, Name string }

// KeyOf is the key of the StatefulSet.
func KeyOf(sts *appsv1.StatefulSet) Key { return Key{sts.Namespace, sts.Name} }

// String is the key as people write it.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Object is the StatefulSet's name in refusals and notes.
func (k Key) Object() string { return "StatefulSet " + k.String() }

// ClaimKey names a claim.
type ClaimKey struct{ Namespace, Name string }

// ClaimKeyOf is the key of the claim.
func ClaimKeyOf(claim *corev1.PersistentVolumeClaim) ClaimKey {
	return ClaimKey{claim.Namespace, claim.Name}
}

// String is the key as people write it.
func (k ClaimKey) String() string { return k.Namespace + "/" + k.Name }
