/* global SwaggerUIBundle */
(function () {
  var loading = document.getElementById("loading");
  if (typeof SwaggerUIBundle === "undefined") {
    loading.textContent = "The reference could not be loaded. The specification itself is at /openapi.json.";
    return;
  }
  SwaggerUIBundle({
    url: "/openapi.json",
    domNode: document.getElementById("reference"),
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    filter: true,
    tryItOutEnabled: false,
    persistAuthorization: false,
    // The validator lives on another host, and nothing here may leave this one.
    validatorUrl: null,
    requestInterceptor: function (request) {
      request.credentials = "same-origin";
      return request;
    },
  });
})();
