"""Two small apps of two different ministries: strangers to the provider, who know it only by OpenID Connect."""
