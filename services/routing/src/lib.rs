//! Routing: RouteCall, Explain, and the feed to edges.
