package cluster

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig writes a self-contained kubeconfig for the user whose certificate the authority keeps as user.crt.
func (a *authority) kubeconfig(path, user, server string) error {
	parts := map[string][]byte{}
	for _, name := range []string{"ca.crt", user + ".crt", user + ".key"} {
		data, err := os.ReadFile(a.file(name))
		if err != nil {
			return fmt.Errorf("kubeconfig %s: %w", path, err)
		}
		parts[name] = data
	}
	c := api.NewConfig()
	c.Clusters["lab"] = &api.Cluster{Server: server, CertificateAuthorityData: parts["ca.crt"]}
	c.AuthInfos[user] = &api.AuthInfo{
		ClientCertificateData: parts[user+".crt"], ClientKeyData: parts[user+".key"],
	}
	c.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: user, Namespace: "default"}
	c.CurrentContext = "lab"
	if err := clientcmd.WriteToFile(*c, path); err != nil {
		return fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return nil
}
