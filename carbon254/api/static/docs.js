// Starts the API page. Kept in a file because the node's policy allows no script inside a page.
"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  // No outside validator is asked about the document.
  validatorUrl: null,
});
