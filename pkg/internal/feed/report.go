package feed

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// FieldManager is the daemon's name in server-side apply.
const FieldManager = nodeconfig.DaemonManager

// Report writes a node's status into its ConfigMap, which is made when it is not there.
func (c *Client) Report(ctx context.Context, status nodeconfig.Status) error {
	text, err := nodeconfig.Encode(status)
	if err != nil {
		return fmt.Errorf("report the status: %w", err)
	}
	name := nodeconfig.StatusName(status.Node)
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata": map[string]any{
			"name": name, "namespace": c.namespaces.Documents,
			"labels": map[string]string{nodeconfig.LabelApp: nodeconfig.AppNode},
		},
		"data": map[string]string{nodeconfig.KeyStatus: text},
	})
	if err != nil {
		return fmt.Errorf("report the status: %w", err)
	}
	options := &metav1.PatchOptions{FieldManager: FieldManager, Force: new(true)}
	err = c.rest.Patch(types.ApplyPatchType).Namespace(c.namespaces.Documents).Resource("configmaps").Name(name).
		VersionedParams(options, c.params).Timeout(requestTimeout).Body(body).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("report the status in ConfigMap %s: %w", name, err)
	}
	return nil
}
