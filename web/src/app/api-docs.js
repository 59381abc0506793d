// Starts Swagger UI on the API's page (/docs); a file of its own because the server's policy forbids
// inline scripts.
window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true });
