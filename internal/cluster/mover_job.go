package cluster

import (
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
)

const (
	moverContainer = "mover"
	// moverGrace is how many seconds a mover has to leave the repository tidy after it is told to stop.
	moverGrace = 20
	// moverTTL is how many seconds after its end Kubernetes removes a Job that nobody else removes.
	moverTTL = 3600
)

// moverLabels are the labels of a mover's Job, pod and Secret. They never include the StatefulSet's own labels,
// because its Services would then select the pod.
func moverLabels(m Mover) map[string]string {
	labels := m.Operation.Labels()
	if m.Claim != "" {
		labels = m.Operation.VolumeLabels(m.Ordinal, m.Claim)
	}
	labels[LabelMover] = m.Name
	return labels
}

// moverJob builds the Job, suspended: its pod must not start before the Secret exists.
func moverJob(cfg MoverConfig, m Mover) *batchv1.Job {
	labels, annotations := moverLabels(m), m.Operation.Annotations(m.Claim)
	podLabels, podAnnotations := maps.Clone(labels), maps.Clone(annotations)
	// A sidecar would outlive the mover. An evicted mover has to start from the beginning.
	podLabels["sidecar.istio.io/inject"] = "false"
	podAnnotations["linkerd.io/inject"] = "disabled"
	podAnnotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "false"
	meta := metav1.ObjectMeta{Namespace: m.Operation.Namespace, Name: m.Name, Labels: labels, Annotations: annotations}
	return &batchv1.Job{
		ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			Suspend:                 new(true),
			BackoffLimit:            new(int32(0)),
			TTLSecondsAfterFinished: new(int32(moverTTL)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: podAnnotations},
				Spec:       moverPod(cfg, m),
			},
		},
	}
}

func moverPod(cfg MoverConfig, m Mover) corev1.PodSpec {
	placement := m.Placement
	volumes, mounts := moverVolumes(m)
	return corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		ServiceAccountName:            cfg.ServiceAccount,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(moverGrace)),
		NodeSelector:                  placement.NodeSelector,
		Affinity:                      onNode(placement.Affinity, placement.Node),
		Tolerations:                   placement.Tolerations,
		SchedulerName:                 placement.SchedulerName,
		// No fsGroup: the kubelet would change the owner of every file on the volume.
		SecurityContext: &corev1.PodSecurityContext{
			RunAsUser:      new(int64(0)),
			RunAsGroup:     new(int64(0)),
			SELinuxOptions: placement.SELinux,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name:                     moverContainer,
			Image:                    cfg.Image,
			Args:                     m.Args,
			Env:                      moverEnv(cfg.Env),
			Resources:                cfg.Resources,
			VolumeMounts:             mounts,
			TerminationMessagePath:   contract.Result,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				ReadOnlyRootFilesystem:   new(true),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: m.Capabilities},
			},
		}},
		Volumes: volumes,
	}
}

// moverVolumes are the volumes of a mover: the claim, if it has one, and those that every mover has.
func moverVolumes(m Mover) (volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	if m.Mount != "" {
		// The claim source itself is not read-only: some drivers cannot attach a volume read-only that was made
		// writable, and a filesystem that was cut while in use replays its journal when it is mounted.
		volumes = append(volumes, corev1.Volume{Name: "volume", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Mount},
		}})
		mounts = append(mounts, corev1.VolumeMount{Name: "volume", MountPath: contract.Volume, ReadOnly: m.ReadOnly})
	}
	volumes = append(volumes,
		corev1.Volume{Name: "files", VolumeSource: corev1.VolumeSource{
			// The Secret is mounted as a folder, not as single files: only then does the kubelet update it in the pod.
			Secret: &corev1.SecretVolumeSource{SecretName: m.Name, DefaultMode: new(int32(0o400))},
		}},
		corev1.Volume{Name: "temporary", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	)
	mounts = append(mounts,
		corev1.VolumeMount{Name: "files", MountPath: contract.Files, ReadOnly: true},
		corev1.VolumeMount{Name: "temporary", MountPath: contract.Temporary}, // for the part of a large index that does not stay in memory
	)
	return volumes, mounts
}

func moverEnv(env map[string]string) []corev1.EnvVar {
	var vars []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(env)) {
		// Kubernetes would replace $(NAME) by another variable's value.
		vars = append(vars, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(env[name], "$", "$$")})
	}
	return vars
}

// onNode restricts an affinity to this node. The terms of a node selector are alternatives, so onNode adds the
// requirement to each of them.
func onNode(affinity *corev1.Affinity, node string) *corev1.Affinity {
	if node == "" {
		return affinity
	}
	affinity = affinity.DeepCopy()
	if affinity == nil {
		affinity = &corev1.Affinity{}
	}
	if affinity.NodeAffinity == nil {
		affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	required := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.NodeSelectorTerms) == 0 {
		required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
	}
	for i := range required.NodeSelectorTerms {
		term := &required.NodeSelectorTerms[i]
		term.MatchFields = append(term.MatchFields, corev1.NodeSelectorRequirement{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		})
	}
	affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = required
	return affinity
}

// moverSecret builds the Secret with the mover's files. It goes when its Job goes. It is immutable: files that
// expire come in a new Secret, and a kubelet need not watch one whose files do not expire.
func moverSecret(files KeyFiles, m Mover, job *batchv1.Job) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   m.Operation.Namespace,
			Name:        m.Name,
			Labels:      moverLabels(m),
			Annotations: m.Operation.Annotations(m.Claim),
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID},
			},
		},
		Data: files.Content,
	}
	if files.Expires.IsZero() {
		secret.Immutable = new(true)
	}
	return secret
}

// moverAccount builds the ServiceAccount of an operation's movers. It has no rights, and pods get no token for it.
func moverAccount(op Operation) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: op.Namespace, Name: op.Name(accountPart), Labels: op.Labels(), Annotations: op.Annotations(""),
		},
		AutomountServiceAccountToken: new(false),
	}
}
