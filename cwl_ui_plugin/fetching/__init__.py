"""The one room through which anything is fetched from the network: from hosts that the site allows, and bounded."""
