package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// OwnImage is the image of the pod's container whose environment sets the given variable. A process finds its own
// pod by such variables, so this is the container that it runs in. Injected containers do not have these variables.
func (c *Client) OwnImage(ctx context.Context, namespace, pod, variable string) (string, error) {
	object, err := c.Pod(ctx, namespace, pod)
	if err != nil {
		return "", err
	}
	if object == nil { // no ErrNotFound: a scheduler would conclude that the StatefulSet to back up is gone
		return "", fmt.Errorf("there is no pod %s/%s", namespace, pod)
	}
	for _, container := range slices.Concat(object.Spec.InitContainers, object.Spec.Containers) {
		if slices.ContainsFunc(container.Env, func(env corev1.EnvVar) bool { return env.Name == variable }) {
			return container.Image, nil
		}
	}
	return "", fmt.Errorf("pod %s/%s has no container with the variable %s", namespace, pod, variable)
}
