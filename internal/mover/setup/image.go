package setup

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// The variables that tell a pod of ours its own name and namespace; deploy/overlays sets them.
const (
	podNamespace = "STSBACKUP_POD_NAMESPACE"
	podName      = "STSBACKUP_POD_NAME"
)

// image is the image that movers run: the one that the user asked for; else, in a pod that knows its name, that
// pod's own image, so that there is only one place to set it; else the image of this version.
func (o *Options) image(ctx context.Context, from Process) (string, error) {
	image := strings.TrimSpace(cmp.Or(o.Image, from.Getenv(EnvImage)))
	namespace, pod := from.Getenv(podNamespace), from.Getenv(podName)
	if image != "" {
		return image, nil
	}
	if namespace == "" || pod == "" {
		return "stsbackup:" + from.Version, nil
	}
	client, _, err := cluster.Connect("", "")
	if err != nil {
		return "", err
	}
	if image, err = client.OwnImage(ctx, namespace, pod, podName); err != nil {
		return "", fmt.Errorf("find the image for movers: %w; give it with --image or %s", err, EnvImage)
	}
	return image, nil
}
