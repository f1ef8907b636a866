package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// OwnImage is the image of the container of a pod whose environment sets the given variable: that of a process that finds
// its own pod by such variables. Injected containers do not have them.
func (c *Client) OwnImage(ctx context.Context, namespace, pod, variable string) (string, error) {
	object, err := c.Pod(ctx, namespace, pod)
	if err != nil {
		return "", err
	}
	if object == nil { // no ErrNotFound, by which a scheduler would take it that the StatefulSet to back up is gone
		return "", fmt.Errorf("there is no pod %s/%s", namespace, pod)
	}
	for _, container := range slices.Concat(object.Spec.InitContainers, object.Spec.Containers) {
		if slices.ContainsFunc(container.Env, func(env corev1.EnvVar) bool { return env.Name == variable }) {
			return container.Image, nil
		}
	}
	return "", fmt.Errorf("pod %s/%s has no container with the variable %s", namespace, pod, variable)
}
