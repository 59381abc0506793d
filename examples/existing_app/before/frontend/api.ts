import axios from "axios";

export const api = axios.create({ baseURL: "/" });

export async function logIn(email: string, password: string): Promise<void> {
  const { data } = await api.post("/token", new URLSearchParams({ username: email, password }));
  localStorage.setItem("token", data.access_token);
}

export function logOut(): void {
  localStorage.removeItem("token");
  location.assign("/login");
}

api.interceptors.request.use((config) => {
  const token = localStorage.getItem("token");
  if (token) config.headers.set("Authorization", `Bearer ${token}`);
  return config;
});

api.interceptors.response.use(undefined, (error) => {
  if (error.response?.status === 401 && location.pathname !== "/login") logOut(); // every half hour
  throw error;
});
