package httpapi

import (
	"net/http"

	"github.com/aimarket/aimarket/routing"
)

func pluginMembers(b jsonBody, p routing.PluginInfo) jsonBody {
	b = b.str("name", p.Name).str("version", p.Version).str("description", p.Description).
		str("homepage", p.Homepage).str("category", p.Category).strings("hooks", p.Hooks)
	if p.Status != "" {
		b = b.str("status", p.Status)
	}
	return b
}

func (s *Server) listPlugins(w http.ResponseWriter, r *http.Request, rt *route) {
	all := s.pluginInfos()
	b := newBody(256 + 320*len(all)).openList("plugins")
	for _, p := range all {
		b = pluginMembers(b.element(), p).close()
	}
	send(w, http.StatusOK, b.closeList().integer("count", int64(len(all))).
		str("discovery", "Plugins are compiled into the hub; AIMARKET_PLUGIN_WHITELIST chooses among them").
		str("registry_url", s.cfg.HubURL+prefix+"/plugins/registry").end())
}

// pluginRegistry is empty: this hub keeps no list of plugins that it does not run.
func (s *Server) pluginRegistry(w http.ResponseWriter, r *http.Request, rt *route) {
	send(w, http.StatusOK, newBody(160).str("registry_version", "1.0").raw("plugins", "[]").
		str("note", "This hub publishes no registry; GET "+prefix+"/plugins lists what it runs.").end())
}

func (s *Server) showPlugin(w http.ResponseWriter, r *http.Request, rt *route) {
	name := pathValue(r, "name")
	for _, p := range s.pluginInfos() {
		if p.Name == name {
			send(w, http.StatusOK, pluginMembers(newBody(320), p).end())
			return
		}
	}
	s.fail(w, r, refuse(http.StatusNotFound, "plugin_not_loaded", "Plugin '"+clip(name, 80)+"' not loaded"))
}
