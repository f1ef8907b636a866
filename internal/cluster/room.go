package cluster

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// quotaPatience is how long a quota may take to notice that deleted objects are gone.
	quotaPatience = 30 * time.Second
	// roomEvery is the pause between two attempts to create an object for which a quota has no room.
	roomEvery = time.Second
)

// whenRoom creates an object for which a quota may have no room right now, because the quota still counts objects just
// deleted, or objects that others of the same operation will give back; busy reports the latter. whenRoom does not wait for
// a quota into which the object can never fit.
func (c *Client) whenRoom(ctx context.Context, busy func() bool, create func() error) error {
	full := c.now() // since when nobody gives anything back
	sayer := c.sayer(0)
	for {
		err := create()
		if !isQuotaFull(err) {
			return err
		}
		if busy != nil && busy() {
			full = c.now()
		}
		if c.now().Sub(full) >= quotaPatience {
			return err
		}
		sayer.say(err.Error)
		if wait.For(ctx, roomEvery) != nil {
			return err
		}
	}
}

// isQuotaFull reports whether an object was not created because a quota has no room for it at present.
func isQuotaFull(err error) bool {
	return apierrors.IsForbidden(err) && quotaFull(err.Error())
}

// quotaFull is isQuotaFull for the API server's message.
func quotaFull(message string) bool {
	return strings.Contains(message, "exceeded quota: ") && !neverFits(message)
}

// neverFits reports whether a quota allows less than was requested, even if nobody else uses it.
func neverFits(message string) bool {
	_, text, found := strings.Cut(message, ", limited: ")
	if !found {
		return false
	}
	_, requested := exceededQuota(message)
	for name, limit := range quotaAmounts(text) {
		if amount, asked := requested[name]; asked && amount.Cmp(limit) > 0 {
			return true
		}
	}
	return false
}

// quotaAmounts reads "RESOURCE=AMOUNT,…"; nil if the text has another form.
func quotaAmounts(text string) corev1.ResourceList {
	amounts := corev1.ResourceList{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		amount, err := resource.ParseQuantity(value)
		if err != nil {
			return nil
		}
		amounts[corev1.ResourceName(key)] = amount
	}
	return amounts
}

// mayPass reports whether the API server may soon admit an object that it has refused with this message: a
// quota has room again, a webhook answers, the API server has read its rules.
func mayPass(message string) bool {
	return quotaFull(message) || strings.Contains(message, "not yet ready") || strings.Contains(message, "failed calling webhook")
}
